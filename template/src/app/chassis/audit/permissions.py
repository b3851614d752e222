"""Who may do what. May import checks, features, http, operations, target."""

from collections.abc import Iterator
from typing import Any

from fastapi.routing import iter_route_contexts
from fastapi.security.base import SecurityBase

from app.chassis.audit.checks import Finding, judged
from app.chassis.audit.operations import guarded_operations
from app.chassis.audit.target import Answer, NoAnswerError, Target
from app.chassis.features import FEATURES
from app.chassis.http.access import caller_of

__all__ = [
    "access",
    "authentication",
    "documentation",
    "forged_host",
    "inventory",
    "methods",
    "metrics",
    "same_program",
]

# {"alg": "none"}, RFC 7519 §6; in pieces, so that nobody who looks for tokens takes it for one.
_UNSIGNED = ".".join(("eyJhbGciOiJub25lIn0", "eyJzdWIiOiJhdWRpdCIsImV4cCI6NDEwMjQ0NDgwMH0", ""))
_CALLERS = {
    "without a token": {},
    "with a wrong token": {"Authorization": "Bearer audit-is-not-a-token"},
    "with an unsigned token": {"Authorization": f"Bearer {_UNSIGNED}"},
}
_BEFORE_GUARDS = {400, 408, 413, 414, 415, 431, 500, 502, 503, 504}  # says nothing about who may call


def authentication(target: Target) -> Finding:
    """Asked in a way that does no work even where the guard is broken; what cannot be asked so is not asked."""
    bad: list[str] = []
    unclear: list[str] = []
    asked = 0
    for one in guarded_operations(target):
        if one.request is None:
            unclear.append(f"{one.name} not asked: no request to it is sure to do nothing")
            continue
        path, headers, body = one.request
        asked += 1
        for what, caller in _CALLERS.items():
            try:
                answer = target.ask(one.method, path, headers | caller, body)
            except NoAnswerError as error:
                unclear.append(str(error))
                continue
            if not _is_refusal(answer):
                (unclear if answer.status in _BEFORE_GUARDS else bad).append(f"{one.name} {what}: {answer.status}")
    if not asked and not unclear:
        return Finding("UNKNOWN", "the contracts", "no operation declares security; what stands before the service?")
    return judged(f"{asked} operations, each as {len(_CALLERS)} strangers", bad, unclear, "refused")


def _is_refusal(answer: Answer) -> bool:
    return answer.status == 401 and bool(answer.header("www-authenticate")) and "error" in answer.json


def access(target: Target) -> Finding:
    """Only where the service knows callers: by the feature auth, or by `security` of the team's own."""
    routes = list(_team_routes(target))
    guarded = {one.name for one in guarded_operations(target)}
    if "auth" not in FEATURES and not guarded:
        return Finding("UNKNOWN", f"{len(routes)} routes", "this service knows no callers: what stands before it?")
    bad = [
        f"{method} {path}"
        for path, context in routes
        for method in sorted((context.methods or set()) - {"HEAD"})
        if f"{method} {path}" not in guarded and not _is_told(_dependant(context))
    ]
    return judged(f"{len(routes)} routes", bad, [], "each has a guard or is Public")


def _team_routes(target: Target) -> Iterator[tuple[str, Any]]:
    apps = [(f"/{name}", app) for name, app in target.service.versions.apps.items()] + [("", target.service)]
    for prefix, app in apps:
        for context in iter_route_contexts(app.routes):
            module = getattr(context.endpoint, "__module__", "")
            if not module.startswith("app.chassis.") and context.path != getattr(app, "openapi_url", None):
                yield f"{prefix}{context.path}", context


def _dependant(context: Any) -> Any:
    return getattr(context, "dependant", None) or getattr(context.original_route, "dependant", None)


def _is_told(dependant: Any) -> bool:
    """Whether a guard of any kind stands somewhere below, or `Public`."""
    is_here = dependant is not None and (dependant.call is caller_of or isinstance(dependant.call, SecurityBase))
    return is_here or any(map(_is_told, getattr(dependant, "dependencies", ())))


def inventory(target: Target) -> Finding:
    """What no contract names is not tested, not reviewed, and forgotten."""
    told = {f"/{version}{path}" for version, contract in target.contracts.items() for path in contract.get("paths", {})}
    outside = {path: context for path, context in _team_routes(target) if path not in told}
    bad = sorted(path for path, context in outside.items() if context.methods)
    mounted = sorted(f"{path} is mounted" for path, context in outside.items() if not context.methods)
    return judged(f"{len(list(_team_routes(target)))} routes", bad, mounted, "all of them do")


def same_program(target: Target) -> Finding:
    """Else the file checks tell about another program than the answers do."""
    bad, unclear = [], []
    for version, contract in target.contracts.items():
        answer = target.ask("GET", f"/{version}/openapi.json")
        if answer.status != 200:
            unclear.append(f"/{version}/openapi.json answered {answer.status}")
        elif answer.json.get("paths") != contract.get("paths"):
            bad.append(f"/{version} differs")
    return judged(f"{len(target.contracts)} contracts", bad, unclear, "equal")


def metrics(target: Target) -> Finding:
    """In development they are open as long as no token is set; production does not start without one."""
    status = target.ask("GET", "/metrics").status
    if status == 200 and not target.is_production and target.settings.operations_token is None:
        return Finding("UNKNOWN", "GET /metrics without a token", "open here, where no token is set")
    return Finding("pass" if status == 401 else "FAIL", "GET /metrics without a token", f"answered {status}")


def documentation(target: Target) -> Finding:
    """In development they are open on purpose."""
    paths = ["/docs", *(f"/{version}/openapi.json" for version in target.contracts)]
    is_open = [path for path in paths if target.ask("GET", path).status == 200]
    if is_open and not target.is_production:
        return Finding("UNKNOWN", ", ".join(paths), f"open in {target.settings.environment}; audit production")
    return judged(", ".join(paths), [f"{path} is open" for path in is_open], [], "closed")


def methods(target: Target) -> Finding:
    """TRACE would give back what a proxy added to the request."""
    bad, lines = [], ("X-Audit: planted", "Connection: close")
    for name in ("TRACE", "AUDIT"):
        answer = target.send(target.head(name, "/livez", *lines))
        if not 400 <= answer.status <= 405 or b"planted" in answer.body:
            bad.append(f"{name} answered {answer.status}")
    return judged("TRACE, AUDIT", bad, [], "refused")


def forged_host(target: Target) -> Finding:
    """It would end up in links, caches and mails."""
    status = target.ask("GET", target.absent, {"Host": "audit.invalid"}).status
    return Finding("pass" if status == 400 else "FAIL", "GET with another Host", f"answered {status}")
