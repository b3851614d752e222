"""Wire shapes of accounts and their tokens."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.chassis.http import Email, Schema

Password = Annotated[str, Field(min_length=12, max_length=128, examples=["nine brass plumb bobs"])]
AnyPassword = Annotated[str, Field(min_length=1, max_length=128, examples=["nine brass plumb bobs"])]
RefreshToken = Annotated[str, Field(min_length=1, max_length=200, examples=["dG9rZW4.c2VjcmV0"])]


class AccountIn(Schema):
    """What a client sends for a new account."""

    email: Email
    """One account an address, whatever its case."""
    password: Password
    """12 to 128 characters, without the name of the address, none of the commonest."""


class AccountOut(Schema):
    """What a client gets of an account."""

    id: str
    """Subject of its tokens."""
    email: str
    created_at: datetime


class Credentials(Schema):
    """What a client sends to log in."""

    email: Email
    password: AnyPassword


class Renewal(Schema):
    """A refresh token that is handed in."""

    refresh_token: RefreshToken


class TokenOut(Schema):
    """What a client gets when it has logged in, or renews."""

    access_token: str
    """Sent as `Authorization: Bearer …`."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the scheme's name
    expires_in: int
    """Seconds until the access token is over."""
    refresh_token: str
    """Good for one renewal, which gives the next one. One that comes again ends all that came after it."""
    scope: str
    """What the token may do, separated by spaces."""
