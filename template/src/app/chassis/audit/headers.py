"""What every answer carries. May import checks, target."""

from functools import cache

from app.chassis.audit.checks import Finding, judged
from app.chassis.audit.target import Answer, Target

__all__ = ["content_policy", "cross_origin", "no_banner", "no_store", "nosniff", "transport_security"]

_ORIGIN = "https://audit.invalid"
_TELLS = ("server", "x-powered-by", "x-aspnet-version", "x-runtime")


@cache
def _answers(target: Target) -> dict[str, Answer]:
    """One answer of each part of the service that makes any: a probe, a route, the edge, the parser."""
    some = {
        "GET /livez": target.ask("GET", "/livez"),
        "an unknown path": target.ask("GET", target.absent),
        "a wrong method": target.ask("DELETE", "/livez"),
        "what is not HTTP": target.send(b"\x00\r\n\r\n"),
    }
    for version, contract in target.contracts.items():
        for template, item in contract.get("paths", {}).items():
            if "get" in item and "{" not in template:
                some[f"GET /{version}{template}"] = target.ask("GET", f"/{version}{template}")
                break
    return some


def _everywhere(target: Target, name: str, wanted: str) -> Finding:
    answers = _answers(target)
    probed = ", ".join(f"{what} ({answer.status})" for what, answer in answers.items())
    told = {what: answer.header(name) for what, answer in answers.items()}
    bad = [f"{what}: {value or 'none'}" for what, value in told.items() if wanted not in value]
    return judged(probed, bad, [], f"{name} on all {len(answers)}")


def nosniff(target: Target) -> Finding:
    """Browsers do not guess what an answer is."""
    return _everywhere(target, "x-content-type-options", "nosniff")


def content_policy(target: Target) -> Finding:
    """An answer that is opened as a page may load and run nothing."""
    return _everywhere(target, "content-security-policy", "default-src 'none'")


def no_store(target: Target) -> Finding:
    """A route may allow it; what the chassis answers by itself never does."""
    own = {what: answer for what, answer in _answers(target).items() if answer.status >= 400 or what == "GET /livez"}
    bad = [what for what, answer in own.items() if "no-store" not in answer.header("cache-control")]
    return judged(", ".join(own), [f"missing in the answer to {what}" for what in bad], [], f"on all {len(own)}")


def transport_security(target: Target) -> Finding:
    """Only HTTPS can tell: browsers ignore the header on plain HTTP (RFC 6797 §7.2)."""
    value = target.ask("GET", "/livez").header("strict-transport-security")
    if target.is_https:
        return Finding("pass" if value else "FAIL", "GET /livez over HTTPS", value or "no such header")
    return Finding("UNKNOWN", f"{target.url}, plain HTTP", "audit the https:// address that clients use, with --url")


def no_banner(target: Target) -> Finding:
    """A version in a header is a search term for an attacker; nginx in front can leave out that, but not its name."""
    answers = _answers(target)
    bad = [f"{name} in {at}" for at, one in answers.items() for name in _TELLS if one.header(name) not in ("", "nginx")]
    return judged(", ".join(answers), bad, [], "none of them, or nginx without a version")


def cross_origin(target: Target) -> Finding:
    """`*` and an origin sent back as it came let every page of the web read the answers."""
    listed = [one for one in target.settings.security_cors_origins if one not in ("*", "null")][:3]
    alike = {f"{one}.audit.invalid": f"{one} with a suffix" for one in listed}
    bad = []
    for origin, what in ({_ORIGIN: "an origin that nobody listed", "null": "null"} | alike).items():
        for method, headers in (("GET", {}), ("OPTIONS", {"Access-Control-Request-Method": "GET"})):
            answer = target.ask(method, target.absent, {"Origin": origin} | headers)
            if (allowed := answer.header("access-control-allow-origin")) in ("*", origin):
                bad.append(f"{method} allows {'every origin' if allowed == '*' else what}")
    probed = ", ".join(("GET and a preflight: an unknown Origin", "null", *alike.values()))
    return judged(probed, sorted(set(bad)), [], "not allowed")
