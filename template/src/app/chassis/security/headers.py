"""Headers of every answer. Source: OWASP REST Security Cheat Sheet; only what an API needs, each costs CPU.

May import settings.
"""

from app.chassis.security.settings import SecuritySettings

__all__ = ["security_headers"]

Headers = list[tuple[bytes, bytes]]


def security_headers(settings: SecuritySettings) -> Headers:
    """Defaults the edge adds; a route that sets one of these names itself wins."""
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"cache-control", b"no-store"),
    ]
    if settings.security_hsts_seconds:
        value = f"max-age={settings.security_hsts_seconds}; includeSubDomains"
        headers.append((b"strict-transport-security", value.encode("ascii")))
    return headers
