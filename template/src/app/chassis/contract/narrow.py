"""Which values of one JSON Schema another one refuses, found without asking anybody. May import rules.

Of a request, the released schema is offered and that of today judges; of an answer, the other way round.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from app.chassis.contract.rules import NAMED, Refusal, alternatives, broken_rules, free_of, kind_of, takes, values_of

__all__ = ["refusals"]

_PLACES = 20
_ANY: dict[str, Any] = {}


def refusals(
    offered: dict[str, Any],
    judge: dict[str, Any],
    offering: dict[str, Any],
    judging: dict[str, Any],
    *,
    is_text: bool = False,
) -> list[Refusal]:
    """Each place where schema `judge` of document `judging` refuses what `offered` of document `offering` takes.

    In a URL or a form (`is_text`) all is text: a number is one too, and there is no null.
    """
    comparison = _Comparison(offering, judging, is_text=is_text)
    while True:
        found = comparison.refusals(offered, judge, "")
        if not comparison.has_learned():
            return list({(one.pointer, one.rule, repr(one.judged)): one for one in found}.values())


class _Comparison:
    """Each pair of schemas is compared once, however often and however deep they refer to each other.

    While a pair is looked at, what comes back to it takes it for one that refuses nothing. If that was wrong, all is
    done again with what was learned, until nothing new is.
    """

    def __init__(self, offering: dict[str, Any], judging: dict[str, Any], *, is_text: bool) -> None:
        self._offering, self._judging, self._is_text = offering, judging, is_text
        self._known: dict[tuple[str, str], list[Refusal]] = {}
        self._learned: dict[tuple[str, str], list[Refusal]] = {}

    def has_learned(self) -> bool:
        refused = {pair: lines for pair, lines in self._known.items() if any(one.is_certain for one in lines)}
        is_new, self._learned, self._known = refused.keys() != self._learned.keys(), refused, {}
        return is_new

    def refusals(self, offered: Any, judge: Any, pointer: str) -> list[Refusal]:
        offered, judge = (_ANY if schema is True else schema for schema in (offered, judge))
        pair = json.dumps(offered), json.dumps(judge)
        if pair not in self._known:
            self._known[pair] = self._learned.get(pair, [])
            lines = self._compared(offered, judge)
            if "$ref" in offered and "$ref" in judge:  # said once, wherever else the two are used
                lines = [replace(one, origin=one.origin or (pair, one.pointer, one.rule)) for one in lines]
            self._known[pair] = _once(lines)
        places = [(one, tuple(pointer + place for place in one.also)) for one in self._known[pair]]
        return [replace(one, pointer=pointer + one.pointer, also=also) for one, also in places]

    def _compared(self, offered: dict[str, Any], judge: dict[str, Any]) -> list[Refusal]:
        judges, found = list(alternatives(judge, self._judging)), list[Refusal]()
        if self._is_text:  # one value is a list of one
            lists = [one for one in judges if one.get("type") == "array"]
            judges += [part for one in lists for part in alternatives(one.get("items", _ANY), self._judging)]
        for one in alternatives(offered, self._offering):
            values = [False, True] if one.get("type") == "boolean" and "enum" not in one else values_of(one)
            if values is not None:
                found += self._of_values(values, judges)
            elif one.get("type") != "null" or not self._is_text:
                found += self._of_best(one, judges)
        return _once(found)

    def _of_values(self, values: list[Any], judges: list[dict[str, Any]]) -> Iterator[Refusal]:
        values = [value for value in values if not (self._is_text and value is None)]
        refused = [value for value in values if not any(takes(one, value, is_text=self._is_text) for one in judges)]
        if not refused:
            return
        listed = [value for one in judges for value in values_of(one) or ()]
        kinds = {one["type"] for one in judges if "type" in one} | {kind_of(value) for value in listed}
        known = kinds | ({"integer"} if "number" in kinds else set())
        strange = [kind_of(value) for value in refused if kind_of(value) not in known]
        if strange:
            yield Refusal("", "type", strange[0], " or ".join(sorted(kinds)))
        elif listed:
            yield Refusal("", "enum", values, listed)
        else:
            yield from [*broken_rules({"type": kind_of(refused[0])}, judges[0])] or [Refusal("", "enum", values, kinds)]

    def _of_best(self, old: dict[str, Any], judges: list[dict[str, Any]]) -> list[Refusal]:
        """Of the alternative that was meant: the one of the same kind and tag that refuses least."""
        found = [self._of_one(old, new) for new in judges]
        is_other, lines = min(
            found, key=lambda one: (one[0], sum(line.is_certain for line in one[1]), len(one[1])), default=(False, [])
        )
        if is_other and len(judges) > 1 and lines[0].rule == "type":
            return [replace(lines[0], judged=" or ".join(sorted({str(one.get("type")) for one in judges})))]
        return lines

    def _of_one(self, old: dict[str, Any], new: dict[str, Any]) -> tuple[bool, list[Refusal]]:
        """What is refused, and whether it is another alternative altogether."""
        kind, taken = old.get("type"), values_of(new)
        wanted = sorted({kind_of(value) for value in taken}) if taken else [new["type"]] if "type" in new else [kind]
        if self._is_text and taken is None and "string" in wanted and kind not in ("array", "object", "string"):
            return False, [replace(one, is_certain=False) for one in broken_rules({"pattern": "digits"}, new)]
        if kind not in wanted and not (kind == "integer" and "number" in wanted):
            return True, [Refusal("", "type", kind or "anything", " or ".join(map(str, wanted)))]
        if taken is not None:
            return False, [Refusal("", "enum", None, taken)]
        if tag := self._other_tag(old, new):
            return True, [tag]
        if NAMED in old and NAMED in new:
            return False, self.refusals({"$ref": old[NAMED]}, {"$ref": new[NAMED]}, "")
        return False, [*broken_rules(old, new), *self._members(old, new), *self._entries(old, new)]

    def _other_tag(self, old: dict[str, Any], new: dict[str, Any]) -> Refusal | None:
        """The one value of a member that tells the two apart."""
        for name, schema in old.get("properties", _ANY).items():
            tag, tags = (values_of(one) for one in (schema, new.get("properties", _ANY).get(name, _ANY)))
            if tag and tags and len(tag) == 1 and tag[0] not in tags:
                return Refusal(f"/{name}", "enum", tag, tags)
        return None

    def _members(self, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Refusal]:
        for name in new.get("required", ()):
            if name not in old.get("required", ()):
                yield Refusal(f"/{name}", "required", False, True)
        (names, free), (names_taken, taken) = free_of(old), free_of(new)
        members, known = old.get("properties", _ANY), new.get("properties", _ANY)
        for name, schema in members.items():
            if name in known or taken is not False:
                yield from self.refusals(schema, known.get(name, taken), f"/{name}")
            else:
                yield Refusal(f"/{name}", "member", True, False)
            before, now = (one if isinstance(one, dict) else _ANY for one in (schema, known.get(name, schema)))
            if before.get("default") != now.get("default"):
                yield Refusal(f"/{name}", "default", before.get("default"), now.get("default"), is_certain=False)
        for name in known.keys() - members.keys():
            if free not in (True, False):
                yield from self.refusals(free, known[name], f"/{name}")
        if free is not False and taken is False:
            yield Refusal("/*", "member", True, False, is_certain="additionalProperties" in old)
        elif free is not False and (free is not True or "additionalProperties" in old):
            yield from self.refusals(free, taken, "/*")
            yield from self.refusals(names, names_taken, "/*")

    def _entries(self, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Refusal]:
        firsts = zip_longest(old.get("prefixItems", ()), new.get("prefixItems", ()))
        rest, wanted = old.get("items", _ANY), new.get("items", _ANY)
        for index, (mine, its) in enumerate(firsts):
            if index < old.get("maxItems", index + 1):
                yield from self.refusals(rest if mine is None else mine, wanted if its is None else its, f"/{index}")
        if max(len(one.get("prefixItems", ())) for one in (old, new)) < old.get("maxItems", float("inf")):
            yield from self.refusals(rest, wanted, "/*")


def _once(lines: list[Refusal]) -> list[Refusal]:
    """Each refusal once, at the shortest of the places where it is met."""
    kept: dict[Any, Refusal] = {}
    for one in lines:
        key = one.origin or (one.pointer, one.rule, repr(one.offered), repr(one.judged))
        first = kept.get(key, one)
        pointer, *also = sorted(
            {first.pointer, *first.also, one.pointer, *one.also}, key=lambda it: (it.count("/"), it)
        )
        kept[key] = replace(first, pointer=pointer, also=tuple(also[:_PLACES]))
    return list(kept.values())
