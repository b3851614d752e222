"""Asks the real service what a case asks, and makes the answer comparable. May import http, operations, testing."""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import Any

from app.chassis.contract.operations import Operation
from app.chassis.http.recordings import Case, ContractError, Recorded, shown
from app.chassis.testing.client import Answer, Client
from app.chassis.testing.process import ServiceProcess
from app.chassis.testing.team import Team

__all__ = ["fresh_client", "replayed"]

_KEPT = ("content-type", "etag", "location", "link", "allow", "retry-after")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_OF_THE_VERSION = re.compile(r'(, )?<[^>]*>; rel="(successor-version|deprecation|sunset)"')
_REFERENCE = re.compile(r"\{(?P<what>/[^{}#]*|[a-z]\w*/[a-z][\w.]*)#(?P<pointer>[^{}]*)\}")


class _UnansweredError(Exception):
    """A case refers to something that is not there."""


@contextmanager
def fresh_client(team: Team, **environment: str) -> Iterator[Client]:
    """A client of a new service with a new database, seeded; `environment` may name another than SQLite.

    Raises:
        ContractError: the service does not start, or `seed` fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        service = ServiceProcess(Path(folder), **environment)
        try:
            _start(team, service)
            yield service.client()
        finally:
            service.stop()


def _start(team: Team, service: ServiceProcess) -> None:
    try:
        service.start()
    except AssertionError as error:
        raise ContractError(f"{str(error)[-2000:]}; expected one that `make run` starts") from None
    try:
        team.seed(service.client())
    except Exception as error:  # the team's code may raise anything
        place = [one.filename for one in extract_tb(error.__traceback__) if one.name == "seed"][-1:]
        wrong = f"seed() of {shown(Path(*place))} fails: {error!r}"
        raise ContractError(f"{wrong}; expected one that fits the routes") from error


def replayed(
    cases: Sequence[Case],
    operations: dict[str, Operation],
    team: Team,
    client: Client,
    unasked: list[tuple[Case, str]] | None = None,
) -> Iterator[tuple[Case, Recorded]]:
    """Each case and its answer. Reads come first, then what fails, then what changes, then what deletes.

    A case that refers to an answer which does not come is left out and told in `unasked`, if that is given.

    Raises:
        ContractError: there is no such operation; or a case refers to an answer that does not come.
    """
    asking = _Asking(client, team, cases)
    for case in sorted(cases, key=lambda case: _turn(case, operations)):
        operation = operations[case.operation]
        try:
            answer = asking.answer_to(case, team.headers(operation.method, operation.template))
        except _UnansweredError as error:
            if unasked is None:
                raise ContractError(f"{shown(case.file)}: {error}") from None
            unasked.append((case, str(error)))
            continue
        yield case, _comparable(answer)


def _turn(case: Case, operations: dict[str, Operation]) -> tuple[int, str, str]:
    if case.operation not in operations:
        raise ContractError(
            f"{shown(case.file.parent)}: {case.version} has no operation of that name; rename the folder, or delete it"
        )
    operation = operations[case.operation]
    path = _REFERENCE.sub("x", case.request.path).partition("?")[0].removeprefix(f"/{case.version}")
    fits = re.fullmatch(re.sub(r"{[^}]*}", "[^/]+", operation.template), path)
    if not fits or case.request.method not in (operation.method, "HEAD" if operation.method == "GET" else ""):
        raise ContractError(f"{shown(case.file)}: asks {case.request.method} {path}; expected {operation}")
    if case.request.method in ("GET", "HEAD"):
        turn = 0
    elif operation.fails_in(case):
        turn = 1
    else:
        turn = 3 if case.request.method == "DELETE" else 2
    return turn, case.operation, case.name


class _Asking:
    """Sends requests of cases, once their references are filled: by what a GET answers, or another case."""

    def __init__(self, client: Client, team: Team, cases: Sequence[Case]) -> None:
        self._client, self._team = client, team
        self._cases = {f"{case.operation}/{case.name}": case for case in cases}

    def answer_to(self, case: Case, headers: dict[str, str]) -> Answer:
        request = case.request
        return self._client.request(
            request.method,
            str(self._filled(request.path)),
            json_body=self._filled(request.body),
            body=request.text.encode() if request.text is not None else None,
            headers=headers | self._filled(request.headers),
            check=False,
        )

    def _filled(self, node: Any) -> Any:
        return _with_texts(node, self._filled_text)

    def _filled_text(self, text: str) -> Any:
        whole = _REFERENCE.fullmatch(text)
        return self._found(whole) if whole else _REFERENCE.sub(lambda part: str(self._found(part)), text)

    def _found(self, reference: re.Match[str]) -> Any:
        what, pointer = reference["what"], reference["pointer"]
        if what.startswith("/"):
            headers = self._team.headers("GET", what)
            told, answer = f"GET {what}", self._client.request("GET", what, headers=headers, check=False)
        elif (case := self._cases.pop(what, None)) is not None:
            told, answer = what, self.answer_to(case, {})
            self._cases[what] = case
        else:
            raise _UnansweredError(f"no case {what}, or one that refers to itself; expected a file of that name")
        try:
            found: Any = answer.json
            for key in pointer.split("/")[1:]:
                found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, ValueError, TypeError):
            missing = f"{told} answers {answer.status} without {pointer}"
            raise _UnansweredError(f"{missing}; expected what seed() puts there") from None
        return found


def _with_texts(node: Any, change: Callable[[str], Any]) -> Any:
    """Copy of a JSON value in which each text is changed; names of members stay."""
    if isinstance(node, dict):
        return {key: _with_texts(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_texts(value, change) for value in node]
    return change(node) if isinstance(node, str) else node


def _comparable(answer: Answer) -> Recorded:
    seen, own_id, cursor = dict[str, str](), answer.headers.get("x-request-id", "\0"), _next_cursor(answer)

    def same_everywhere(text: str) -> str:
        plain = _TIME.sub("2030-01-31T12:00:00Z", text.replace(own_id, "0" * 32))
        plain = plain.replace(cursor, "next-page") if cursor else plain  # it holds keys and is nobody's to read
        return _UUID.sub(lambda found: seen.setdefault(found[0], f"{0:08x}-0000-4000-8000-{len(seen) + 1:012x}"), plain)

    headers = {name: same_everywhere(answer.headers[name]) for name in _KEPT if name in answer.headers}
    if link := _OF_THE_VERSION.sub("", headers.pop("link", "")):
        headers["link"] = link
    kind = headers.get("content-type", "")
    body = _with_texts(answer.json, same_everywhere) if kind.endswith("json") and answer.body else None
    text = same_everywhere(answer.body.decode(errors="replace")) if kind.startswith("text/") else None
    return Recorded(status=answer.status, headers=headers, body=body, text=text)


def _next_cursor(answer: Answer) -> str | None:
    if not answer.headers.get("link") or not answer.headers.get("content-type", "").endswith("json"):
        return None
    page = answer.json.get("meta", {}).get("page", {}) if answer.body else {}
    cursor: str | None = page.get("next_cursor")
    return cursor
