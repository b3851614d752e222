"""What two documents say of one operation, compared: what no request would show.

May import http, narrow, operations, rules.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.chassis.contract.narrow import refusals
from app.chassis.contract.operations import Operation
from app.chassis.contract.rules import Refusal
from app.chassis.http.failures import DERIVED

__all__ = ["Change", "changes_of"]

_OF_AN_ANSWER = {"type", "required", "enum", "format", "minItems"}
_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}


@dataclass(frozen=True, slots=True)
class Change:
    """One rule at one place: `/name` of a body, `?name` of the query, or nothing. Not certain: some clients only.

    `refuses` are the places where requests that fitted are refused now.
    """

    rule: str
    pointer: str
    told: str
    is_certain: bool = True
    refuses: tuple[str, ...] = ()


def changes_of(old: Operation, new: Operation, released: dict[str, Any], today: dict[str, Any]) -> Iterator[Change]:
    """What the release took or promised and the document of today does not."""
    for code, status in old.codes.items():
        if code not in new.codes and code not in DERIVED:
            yield Change(f"code.{code}", "", f"does not fail with {code} any more")
        elif new.codes.get(code, status) != status:
            yield Change(f"code.{code}", "", f"fails with {code} as {new.codes[code]}, no more as {status}")
    accepted, known = list(_ways_in(new, today)), list(_ways_in(old, released))
    if not all(any(way <= had for way in accepted) for had in known):
        yield Change("security", "", "asks who calls, which it did not, or not in that way")
    yield from _parameters(old, new, released, today)
    yield from _bodies(old, new, released, today)
    yield from _answers(old, new, released, today)


def _ways_in(operation: Operation, document: dict[str, Any]) -> Iterator[frozenset[tuple[str, ...]]]:
    """Each set of things, any one set being enough, that tells who calls; none at all is a way too."""
    schemes = document["components"].get("securitySchemes", {})
    for wanted in operation.about.get("security") or [{}]:
        found = (schemes.get(name, {"type": name}) for name in wanted)
        yield frozenset((one.get("in", ""), str(one.get("name", one.get("scheme", "bearer"))).lower()) for one in found)


def _parameters(old: Operation, new: Operation, released: dict[str, Any], today: dict[str, Any]) -> Iterator[Change]:
    """Those of one place are the members of an object; in a path the position counts, not the name."""
    names = [re.findall(r"{(.*?)}", operation.template) for operation in (new, old)]
    for place in ("query", "header", "cookie", "path"):
        was = _as_object(old, place, {})
        now = _as_object(new, place, dict(zip(*names, strict=True)) if place == "path" else {})
        for one in refusals(was, now, released, today, is_text=True):
            name = one.pointer[1:]
            pointer = f"?{name}" if place == "query" else one.pointer
            if one.rule == "member":
                yield Change("parameter", pointer, f"ignores the {place} parameter {name}")
            elif one.rule == "required":
                before = "could be left out" if name in was["properties"] else "was not there"
                told = f"wants the {place} parameter {name}, which {before}"
                yield Change("required", pointer, told, refuses=(pointer,))
            else:
                yield _taken_less(one, f"{place} {name}", pointer)


def _as_object(operation: Operation, place: str, names: dict[str, str]) -> dict[str, Any]:
    found = {names.get(name, name): one for (where, name), one in operation.parameters.items() if where == place}
    required = [name for name, one in found.items() if one.get("required")]
    properties = {name: one["schema"] for name, one in found.items()}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _bodies(old: Operation, new: Operation, released: dict[str, Any], today: dict[str, Any]) -> Iterator[Change]:
    was, now = (one.about.get("requestBody", {}) for one in (old, new))
    if now.get("required") and not was.get("required"):
        yield Change("required", "", "wants a body, which could be left out", refuses=("",))
    for kind, media in was.get("content", {}).items():
        today_media = [one for name, one in now.get("content", {}).items() if name == kind or {name, kind} <= _FORMS]
        if not today_media:
            yield Change("content", "", f"takes no {kind} any more", refuses=("",))
        for judge in today_media[:1]:
            schemas = media.get("schema", {}), judge.get("schema", {})
            for one in refusals(*schemas, released, today, is_text=kind in _FORMS):
                yield _taken_less(one, f"body {one.pointer}".strip(), one.pointer)


def _taken_less(one: Refusal, place: str, pointer: str) -> Change:
    more = f", and at {len(one.also)} more places" if one.also else ""
    if one.rule == "default":
        told = f"takes {place} for {one.judged!r} when it is left out, no more for {one.offered!r}"
        return Change("default", pointer, f"{told}{more}", is_certain=False)
    was = "no such rule" if one.offered is None else repr(one.offered)
    told = f"takes less: {place}: {one.rule} is {one.judged!r}, was {was}{more}"
    places = (pointer, *one.also) if one.is_certain else ()
    return Change(one.rule, pointer, told, one.is_certain, places)


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
    place = one.pointer or "a body"
    told = f"may answer {status} with {place} of another {one.rule}: {one.offered!r}, was {one.judged!r}"
    return Change("answer", one.pointer, told, is_certain=one.rule == "type")
