"""Where a new thing is found, in the API version that was asked. Imports nothing of the chassis."""

from typing import Annotated

from fastapi import Depends, Request, Response

__all__ = ["Location"]


class LocationSetter:
    """Sets `Location` (RFC 9110 §10.2.2), so that no route names its own version."""

    __slots__ = ("_response", "_root")

    def __init__(self, root: str, response: Response) -> None:
        self._root = root
        self._response = response

    def set(self, path: str) -> None:
        """Set it to a path below this version, such as `/items/7`."""
        self._response.headers["Location"] = f"{self._root}{path}"


async def _location(request: Request, response: Response) -> LocationSetter:
    return LocationSetter(request.scope["root_path"], response)


Location = Annotated[LocationSetter, Depends(_location)]
