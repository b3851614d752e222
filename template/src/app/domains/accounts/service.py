"""What can be done with accounts, and its rules. Imports neither FastAPI nor SQLAlchemy."""

import re
from collections.abc import Iterator
from uuid import uuid4

from app.chassis.auth.access import RefreshTokenError
from app.chassis.auth.passwords import hash_password, is_outdated, is_password
from app.chassis.database import ReadWork, WriteWork, when_violated
from app.chassis.errors import FieldProblem
from app.domains.accounts import queries
from app.domains.accounts.errors import (
    AccountEmailTakenError,
    AccountNotFoundError,
    CredentialsWrongError,
    PasswordWeakError,
)
from app.domains.accounts.models import Account

SCOPES = "items:write"
# Some of what is tried first; see `_is_common`.
_FOR_LETTERS = str.maketrans("@4310$57", "aaeiosst")
_COMMON = re.compile(
    "(?:abcdefghijkl|admin|administrator|changeme|dragon|football|iloveyou|letmein|monkey|passphrase|passwort|password|"
    "princess|qwerty|qwertyuiop|qwertyuiopasdf|secret|superman|trustno|welcome|whatever)+"
)


async def register(work: WriteWork, *, email: str, password: str) -> Account:
    """A new account.

    Raises:
        PasswordWeakError: the password breaks a rule; each is told.
        AccountEmailTakenError: there is one with that address.
    """
    if problems := list(_problems(email, password)):
        raise PasswordWeakError("the password is too easy to guess", expected="see fields", fields=problems)
    hashed = await hash_password(password)
    account = Account(id=str(uuid4()), email=email.lower(), password_hash=hashed, scopes=SCOPES)
    taken = AccountEmailTakenError("an account has that e-mail address", expected="another address, or a log-in")
    with when_violated("uq_accounts_email", lambda: taken):
        await queries.add(work, account)
    return account


async def log_in(look: ReadWork, work: WriteWork, *, email: str, password: str) -> Account:
    """The account that address and password belong to.

    Raises:
        CredentialsWrongError: there is none. It takes the same time whether the address is known or not.
    """
    found = await queries.account_by_email(look, email.lower())
    await look.release()  # callers who wait for the hash need no connection meanwhile
    if not await is_password(password, found.password_hash if found else None) or found is None:
        raise CredentialsWrongError("no account has that e-mail address and password", expected="those of an account")
    if is_outdated(found.password_hash):
        hashed = await hash_password(password)
        account = await own_account(work, found.id)
        account.password_hash = hashed
        await queries.save(work)
    return found


async def account_of_renewal(look: ReadWork, subject: str) -> Account:
    """The account whose log-in is renewed: what it may do now counts.

    Raises:
        RefreshTokenError: it is gone.
    """
    account = await queries.account_by_id(look, subject)
    if account is None:
        raise RefreshTokenError("the account is gone", expected="another account")
    return account


async def own_account(work: ReadWork, subject: str) -> Account:
    """The account of a caller.

    Raises:
        AccountNotFoundError: it has none here.
    """
    account = await queries.account_by_id(work, subject)
    if account is None:
        raise AccountNotFoundError("the caller has no account here", expected="a token that a log-in gave")
    return account


def _problems(email: str, password: str) -> Iterator[FieldProblem]:
    plain = password.lower()
    name = re.split(r"[@+]", email.lower())[0]
    if len(set(plain)) < 6:
        yield _problem("password_repeats", "has few different characters", "6 different characters or more")
    if len(name) >= 4 and name in plain:
        yield _problem("password_has_email", "holds the name of the e-mail address", "a password without it")
    if _is_common(plain):
        yield _problem("password_common", "is among the first that are tried", "some words that no list has")


def _is_common(plain: str) -> bool:
    """Whether it is a common word, also twice, or with figures and signs around, in or for its letters; or a row."""
    core = re.sub(r"^[^a-z]+|[^a-z]+$", "", plain)
    spelled = (re.sub("[^a-z]", "", text) for text in (core, core.translate(_FOR_LETTERS)))
    return any(map(_COMMON.fullmatch, spelled)) or plain in "0123456789" * 14 or plain in "9876543210" * 14


def _problem(code: str, detail: str, expected: str) -> FieldProblem:
    return FieldProblem("body", "/password", code, detail, expected)
