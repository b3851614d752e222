"""What a person says to the runbook: which procedure, with which inputs, yes or no. Standard library only."""

import getpass
import os
import re
from contextlib import suppress

from alerts import alerts
from procedures import Input, Procedure, anchor


class RefusedError(Exception):
    """Wrong use: what was found, what is expected."""


def named(procedures: list[Procedure], name: str) -> Procedure:
    """The one procedure of that name, of that alert, or with that in its name.

    Raises:
        RefusedError: none has it, or several have.
        UnreadableError: it may be an alert, and the rules are not to be read.
    """
    exact = [one for one in procedures if anchor(one.name) == anchor(name)]
    part = [one for one in procedures if anchor(name) in anchor(one.name)]
    if not exact and len(part) != 1:  # so that rules which cannot be read keep nobody from a procedure
        of_alert = {alert.runbook.rpartition("#")[2] for alert in alerts() if alert.name == name}
        exact = [one for one in procedures if anchor(one.name) in of_alert]
    found = exact or part
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(one.name) for one in found or procedures)
    raise RefusedError(f"{name!r} names {len(found) or 'no'} procedures; expected one of {names}")


def needed(procedures: list[Procedure], procedure: Procedure, above: tuple[str, ...] = ()) -> list[Procedure]:
    """What must have been done before, the first first; each once.

    Raises:
        RefusedError: a procedure needs itself, by whatever way.
    """
    if procedure.name in above:
        raise RefusedError(f"{procedure.name!r} needs itself, by {', '.join(above)}; expected an end")
    found: list[Procedure] = []
    for name in procedure.needs:
        one = named(procedures, name)
        for each in (*needed(procedures, one, (*above, procedure.name)), one):
            found += [] if each in found else [each]
    return found


def given(inputs: list[Input], *, may_ask: bool) -> dict[str, str]:
    """What the operator gives: the environment's, else asked for.

    Raises:
        RefusedError: one is missing, or not like its pattern.
    """
    values = {}
    for one in inputs:
        value = os.environ.get(one.name, "")
        if not value and may_ask:
            question = f"{one.name} ({one.meaning}): " if one.meaning else f"{one.name}: "
            try:
                value = getpass.getpass(question) if one.is_secret else input(question)
            except (EOFError, KeyboardInterrupt, OSError):
                value = ""
        if not re.fullmatch(one.pattern, value) or not value.isprintable():
            found = "none" if not value else "another" if one.is_secret else repr(value)
            raise RefusedError(f"{one.name}: found {found}, expected {one.meaning or 'a value'}, like {one.pattern}")
        values[one.name] = value
    return values


def asked(question: str) -> str:
    """An operator's answer: y, s or q; Ctrl-C and the end of input are q."""
    while True:
        try:
            answer = input(question).strip().lower()[:1]
        except (EOFError, KeyboardInterrupt, ValueError, OSError):
            with suppress(OSError, ValueError):
                print()
            return "q"
        if answer in {"y", "s", "q"}:
            return answer
