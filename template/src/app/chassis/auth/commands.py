"""Commands of the room: `python -m app keys …` and `python -m app token`."""

import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, NoReturn

import typer

__all__ = ["commands"]

commands = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="Keys that sign tokens: list, new, rotate, retire.")
commands.add_typer(keys, name="keys")
_Now = Annotated[bool, typer.Option("--now", help="Do not wait; good tokens may be refused.")]
_Instead = Annotated[
    bool, typer.Option("--instead", help="The keys were stolen: it signs at once, all others go; log-ins are renewed.")
]


def _fail(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)


def _settings() -> Any:
    from app.chassis.cli.loading import loaded_settings

    return loaded_settings()


def _change(step: Callable[[Any, Any], Any]) -> None:
    """Read the file of keys, change the set, write it; whoever else changes it waits."""
    from app.chassis.auth.keys import KeysError
    from app.chassis.auth.store import changing, now, write

    settings = _settings()
    if settings.auth_keys is not None:
        _fail(
            "not done: AUTH_KEYS holds the keys, and no command changes the environment; expected them in a file "
            "for the moment: AUTH_KEYS= AUTH_KEYS_FILE=keys.json, whose content is the next AUTH_KEYS",
            2,
        )
    try:
        with changing(settings.auth_keys_file) as ring:
            write(settings.auth_keys_file, _taken(step(ring, now()), settings.auth_algorithms))
    except KeysError as error:
        _fail(f"not done: {settings.auth_keys_file} {error}", 1)
    except OSError as error:
        _fail(f"not done: AUTH_KEYS_FILE: {error}; expected a file that can be written", 1)
    print_keys(settings)


def _taken(ring: Any, algorithms: Sequence[str]) -> Any:
    from app.chassis.auth.keys import KeysError

    if ring.signing.algorithm not in algorithms:
        raise KeysError(f"would sign by {ring.signing.algorithm}; expected it in AUTH_ALGORITHMS before")
    return ring


def print_keys(settings: Any) -> None:
    """The table of keys, and what comes next for each."""
    from app.chassis.auth.keys import KeyRing
    from app.chassis.auth.store import read
    from app.chassis.cli.show import table

    given = settings.auth_keys
    ring = KeyRing.parse(given.get_secret_value()) if given else read(settings.auth_keys_file)
    others = {key.kid for key in ring.of_state("published")[1:]}
    waits = {
        "published": (settings.auth_jwks_cache_seconds, "keys rotate, from"),
        "previous": (settings.auth_access_token_seconds + settings.auth_leeway_seconds, "keys retire, from"),
    }
    rows = []
    for key in ring.keys:
        seconds, what = waits.get(key.state, (0, "signs"))
        if key.kid in others:
            seconds, what = 0, "waits for the published key before it"
        until = f" {key.since + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}" if seconds else ""
        since = f"{key.since:%Y-%m-%dT%H:%M:%SZ}"
        rows.append(
            {"kid": key.kid, "algorithm": key.algorithm, "state": key.state, "since": since, "next": what + until}
        )
    print(table(rows))


@keys.command("list")
def list_keys() -> None:
    """List the keys: state, since when, what comes next."""
    from app.chassis.auth.keys import KeysError

    settings = _settings()
    try:
        print_keys(settings)
    except FileNotFoundError:
        _fail(f"no keys: {settings.auth_keys_file} is not there; `python -m app keys new` makes it", 1)
    except KeysError as error:
        _fail(f"{'AUTH_KEYS' if settings.auth_keys else settings.auth_keys_file} {error}", 1)


@keys.command()
def new(
    algorithm: Annotated[str, typer.Option(help="ES256, Ed25519, RS256, or HS256 if it is allowed.")] = "ES256",
    *,
    instead: _Instead = False,
) -> None:
    """Make a key. The first one signs at once; each later one is published first, so that others learn it."""
    from app.chassis.auth.keys import KeyRing

    if algorithm not in (allowed := _settings().auth_algorithms):
        _fail(f"not done: --algorithm: expected one of those that AUTH_ALGORITHMS lists: {', '.join(allowed)}", 2)
    _change(lambda ring, now: ring.with_new(algorithm, now) if ring and not instead else KeyRing.of_one(algorithm, now))


@keys.command()
def rotate(*, at_once: _Now = False) -> None:
    """Let the published key sign; the one that signed stays until its tokens are over."""
    seconds = 0 if at_once else _settings().auth_jwks_cache_seconds
    _change(lambda ring, now: _of(ring).rotated(now, seconds))


@keys.command()
def retire(
    kid: Annotated[str | None, typer.Argument(help="Which key; without it the oldest previous one.")] = None,
    *,
    at_once: _Now = False,
) -> None:
    """Take a key out: its tokens are refused from now on, within a second."""
    settings = _settings()
    seconds = 0 if at_once else settings.auth_access_token_seconds + settings.auth_leeway_seconds
    _change(lambda ring, now: _of(ring).without(kid, now, seconds))


def _of(ring: Any) -> Any:
    from app.chassis.auth.keys import KeysError

    if ring is None:
        raise KeysError("is not there; `python -m app keys new` makes it")
    return ring


@commands.command()
def token(
    subject: Annotated[str, typer.Option(help="Whose token it is, 1 to 255 printable characters.")] = "developer",
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do; may be repeated. Without: whatever routes ask for.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, max=86_400, help="How long it is good.")] = 3_600,
) -> None:
    """Print an access token for work on this machine. Refused in production."""
    from app.chassis.auth.guards import all_scopes
    from app.chassis.cli.loading import load_service

    service = load_service()
    if service.state.settings.environment == "production":
        _fail("not made: ENVIRONMENT is production; expected a token that a caller got by logging in", 2)
    if not 1 <= len(subject) <= 255 or not subject.isprintable():
        _fail("not made: --subject: expected 1 to 255 printable characters", 2)
    scopes = scope if scope is not None else all_scopes(service.versions.apps.values())
    print(service.state.tokens.issue(subject, scopes, seconds=seconds).value)
