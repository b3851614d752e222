"""Compares the service with recorded cases, exactly. May import differences, http, operations, replay, testing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.chassis.contract.differences import differences
from app.chassis.contract.operations import operations_of
from app.chassis.contract.replay import fresh_client, replayed
from app.chassis.http.recordings import Recorded, cases_of, shown
from app.chassis.testing.team import Team

__all__ = ["changed_answers", "changed_document"]

_FOR_PEOPLE = ("title", "detail", "expected")


def changed_answers(
    folder: Path, version: str, contract: dict[str, Any], team: Team, **environment: str
) -> Iterator[str]:
    """A line for each recorded answer that is another today. Words for people are not compared: no client reads them.

    Raises:
        ContractError: a file cannot be used.
    """
    cases = cases_of(folder, version)
    if not cases:
        return
    with fresh_client(team, **environment) as client:
        for case, answer in replayed(cases, operations_of(contract), team, client):
            if case.response is None:
                yield f"{shown(case.file)}: holds no answer yet"
                continue
            old, new = _without_words(case.response), _without_words(answer)
            for line in differences(old, new, case.varies):
                yield f"{shown(case.file)}: response{line}"


def _without_words(answer: Recorded) -> dict[str, Any]:
    copy = answer.model_copy(deep=True)
    if copy.error:
        for part in (copy.error, *copy.error.get("fields", ())):
            for name in _FOR_PEOPLE:
                part.pop(name, None)
    return copy.model_dump()


def changed_document(folder: Path, version: str, contract: dict[str, Any]) -> Iterator[str]:
    """A line for each place of the recorded OpenAPI document that is another today; none if it was never recorded."""
    file = folder / version / "openapi.json"
    if file.is_file():
        for line in differences(json.loads(file.read_text(encoding="utf-8")), contract):
            yield f"{shown(file)}: {line}"
