"""ETag and If-Match for things that carry a version number (RFC 9110 §8.8.3, §13.1). May import codes, errors."""

import re
from typing import Annotated

from fastapi import Depends, Header, Response
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException

from app.chassis.errors import PreconditionFailedError, PreconditionRequiredError
from app.chassis.http.codes import CodedHTTPError

__all__ = ["ExpectedVersion", "NewTag", "ReadTag"]

# What can match, declared so that clients know; anything else is 400, or 412 when it is a tag of another kind.
_DECLARED = {"anyOf": [{"type": "string", "const": "*"}, {"type": "string", "pattern": '^"[0-9]{1,18}"$'}]}
_TAG = re.compile(r'"(?P<version>[0-9]{1,18})"|(W/)?"[^"]*"')
_EXPECTED = 'If-Match: "<version>", as the ETag of your last read says'


class TagSetter:
    """Puts the ETag of a thing into the answer; where the route reads, a reader who has that version gets 304."""

    __slots__ = ("_known", "_response")

    def __init__(self, response: Response, known: str | None) -> None:
        self._response = response
        self._known = known

    def set(self, version: int) -> None:
        """Set `ETag: "<version>"`.

        Raises:
            HTTPException: 304 if `If-None-Match` names that version, or any.
        """
        tag = f'"{version}"'
        known = {part.strip().removeprefix("W/") for part in (self._known or "").split(",")}
        if known & {"*", tag}:
            raise HTTPException(304, headers={"ETag": tag})
        self._response.headers["ETag"] = tag


async def _read_tag(
    response: Response, if_none_match: Annotated[str | SkipJsonSchema[None], Header()] = None
) -> TagSetter:
    return TagSetter(response, if_none_match)


async def _new_tag(response: Response) -> TagSetter:
    return TagSetter(response, None)


async def _expected_version(
    if_match: Annotated[str | SkipJsonSchema[None], Header(json_schema_extra=_DECLARED)] = None,
) -> int | None:
    if if_match is None:
        raise PreconditionRequiredError("If-Match is missing", expected=_EXPECTED)
    if if_match.strip() == "*":
        return None
    tag = _TAG.fullmatch(if_match.strip())
    if tag is None:
        raise CodedHTTPError("bad_request", "If-Match is not one entity tag", expected=_EXPECTED)
    if tag["version"] is None:
        raise PreconditionFailedError("If-Match names no version of this", expected=_EXPECTED)
    return int(tag["version"])


ReadTag = Annotated[TagSetter, Depends(_read_tag)]
NewTag = Annotated[TagSetter, Depends(_new_tag)]
ExpectedVersion = Annotated[int | None, Depends(_expected_version)]
