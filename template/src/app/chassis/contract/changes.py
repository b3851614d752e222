"""What two documents say of one operation, compared: what no request would show. May import narrow, operations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.chassis.contract.narrow import Refusal, refusals
from app.chassis.contract.operations import Operation

__all__ = ["Change", "changes_of"]

_OF_AN_ANSWER = {"type", "required", "enum"}


@dataclass(frozen=True, slots=True)
class Change:
    """One rule at one place: `/name` of a body, `?name` of the query, or nothing. Not certain: some clients only."""

    rule: str
    pointer: str
    told: str
    is_certain: bool = True


def changes_of(old: Operation, new: Operation, released: dict[str, Any], today: dict[str, Any]) -> Iterator[Change]:
    """What the release took or promised and the document of today does not."""
    for code, status in old.codes.items():
        if code not in new.codes:
            yield Change(f"code.{code}", "", f"does not fail with {code} any more")
        elif new.codes[code] != status:
            yield Change(f"code.{code}", "", f"fails with {code} as {new.codes[code]}, no more as {status}")
    if new.about.get("security") and new.about["security"] != old.about.get("security"):
        yield Change("security", "", "asks who calls, which it did not, or not in that way")
    yield from _parameters(old, new, released, today)
    yield from _bodies(old, new, released, today)
    yield from _answers(old, new, released, today)


def _parameters(old: Operation, new: Operation, released: dict[str, Any], today: dict[str, Any]) -> Iterator[Change]:
    for key, was in old.parameters.items():
        pointer = f"?{key[1]}" if key[0] == "query" else f"/{key[1]}"
        if key not in new.parameters:
            if key[0] != "path":  # the place in the path counts there, not the name
                yield Change("parameter", pointer, f"ignores the {key[0]} parameter {key[1]}")
            continue
        now = new.parameters[key]
        if now.get("required") and not was.get("required"):
            yield Change("required", pointer, f"wants the {key[0]} parameter {key[1]}, which could be left out")
        for one in refusals(was["schema"], now["schema"], released, today):
            yield _taken_less(one, f"{key[0]} {key[1]}", pointer)
        if was["schema"].get("default") != now["schema"].get("default"):
            told = f"takes {key[0]} {key[1]} for {now['schema'].get('default')!r} when it is left out, no more for"
            yield Change("default", pointer, f"{told} {was['schema'].get('default')!r}", is_certain=False)
    for key, now in new.parameters.items():
        if key not in old.parameters and now.get("required") and key[0] != "path":
            yield Change("required", f"/{key[1]}", f"wants the {key[0]} parameter {key[1]}, which was not there")


def _bodies(old: Operation, new: Operation, released: dict[str, Any], today: dict[str, Any]) -> Iterator[Change]:
    was, now = (one.about.get("requestBody", {}) for one in (old, new))
    if now.get("required") and not was.get("required"):
        yield Change("required", "", "wants a body, which could be left out")
    for kind, media in was.get("content", {}).items():
        if kind not in now.get("content", {}):
            yield Change("content", "", f"takes no {kind} any more")
        else:
            for one in refusals(media.get("schema", {}), now["content"][kind].get("schema", {}), released, today):
                yield _taken_less(one, f"body {one.pointer}".strip(), one.pointer)


def _taken_less(one: Refusal, place: str, pointer: str) -> Change:
    was = "no such rule" if one.offered is None else repr(one.offered)
    return Change(one.rule, pointer, f"takes less: {place}: {one.rule} is {one.judged!r}, was {was}")


def _answers(old: Operation, new: Operation, released: dict[str, Any], today: dict[str, Any]) -> Iterator[Change]:
    for status, response in old.about["responses"].items():
        if not status.startswith("2"):
            continue
        if status not in new.about["responses"]:
            yield Change(f"status.{status}", "", f"does not declare {status} any more")
            continue
        now = new.about["responses"][status].get("content", {})
        for kind, media in response.get("content", {}).items():
            if kind not in now:
                yield Change("content", "", f"answers {status} without {kind}")
                continue
            # Whoever reads answers judges by what was released: what is sent today must fit that.
            for one in refusals(now[kind].get("schema", {}), media.get("schema", {}), today, released):
                if one.rule in _OF_AN_ANSWER:
                    yield _given_more(one, status)


def _given_more(one: Refusal, status: str) -> Change:
    if one.rule == "required":
        return Change("answer", one.pointer, f"may answer {status} without {one.pointer}, which was always there")
    told = (
        f"may answer {status} with {one.pointer or 'a body'} of another {one.rule}: {one.offered!r}, was {one.judged!r}"
    )
    return Change("answer", one.pointer, told, is_certain=one.rule != "enum")
