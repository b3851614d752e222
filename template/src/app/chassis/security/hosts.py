"""Host check: a forged `Host` would end up in links, caches and mails. Source: RFC 9110 §7.2."""

from collections.abc import Callable

__all__ = ["host_check"]


def host_check(allowed: tuple[str, ...]) -> Callable[[bytes | None], bool]:
    """Function that says whether a raw `Host` value (None: absent or twice) is one of ours, whatever its port."""
    if "*" in allowed:
        return lambda host: host is not None
    exact = {name.lower() for name in allowed if not name.startswith("*.")}
    suffixes = tuple(name[1:].lower() for name in allowed if name.startswith("*."))
    known: set[bytes] = set()

    def is_allowed(host: bytes | None) -> bool:
        if host is None:
            return False
        if host in known:
            return True
        name = _without_port(host.decode("latin-1").lower())
        is_good = name in exact or (bool(suffixes) and name.endswith(suffixes))
        if is_good and len(known) < 64:
            known.add(host)
        return is_good

    return is_allowed


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    name, colon, port = host.rpartition(":")
    return name if colon and port.isascii() and port.isdigit() else host
