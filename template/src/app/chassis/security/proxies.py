"""Whose address a request comes from, behind a known number of proxies. Imports nothing of the chassis."""

import re
from functools import lru_cache
from ipaddress import ip_address

__all__ = ["client_behind"]

_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5}")


def client_behind(proxies: int, forwarded: list[bytes], peer: str | None) -> str | None:
    """Address that the outermost trusted proxy saw; the peer's where it told none, or none that is an address.

    Each proxy appends who asked it, so only the last `proxies` entries were written by one that is trusted.
    """
    entries = b",".join(forwarded).split(b",")[-proxies:] if forwarded else []
    return (_address(entries[0]) if entries else None) or peer


@lru_cache(maxsize=4_096)
def _address(entry: bytes) -> str | None:
    text = entry.decode("latin-1").strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        return str(ip_address(text)) if "%" not in text else None
    except ValueError:
        return None
