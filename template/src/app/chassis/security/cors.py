"""Cross-origin answers for the origins the team lists. Source: Fetch Standard, "CORS protocol".

May import feature, settings.
"""

from functools import cache

from app.chassis.feature import loaded_features
from app.chassis.security.settings import SecuritySettings

__all__ = ["cors_headers", "preflight_headers"]

Headers = list[tuple[bytes, bytes]]
_EXPOSED = ("ETag", "Idempotent-Replayed", "Link", "Location", "Retry-After", "X-API-Version", "X-Request-ID")
_ALLOWED = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-API-Version, X-Request-ID"


def cors_headers(settings: SecuritySettings, origin: bytes | None) -> Headers:
    """Headers for an answer to `origin`; empty if it is not listed. Credentials are never allowed with `*`."""
    if origin is None or not settings.security_cors_origins:
        return []
    if "*" in settings.security_cors_origins:
        return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _exposed())]
    if origin.decode("latin-1") not in settings.security_cors_origins:
        return [(b"vary", b"Origin")]
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", _exposed()),
        (b"vary", b"Origin"),
    ]


@cache
def _exposed() -> bytes:
    return ", ".join((*_EXPOSED, *(name for feature in loaded_features() for name in feature.exposed_headers))).encode()


def preflight_headers(allow: str) -> dict[str, str]:
    """What a preflight is told beside the above: methods of the path (its `Allow`), headers, how long to remember."""
    return {
        "Access-Control-Allow-Methods": allow,
        "Access-Control-Allow-Headers": _ALLOWED,
        "Access-Control-Max-Age": "600",
    }
