"""Answers that a team gives anew with an update, read and judged before anything begins."""

from collections.abc import Sequence

from copies import NotDoneError
from rendering import read_answers

# What is looked at there before anything is taken away.
ELSEWHERE = {
    "features": "make feature ADD=… or REMOVE=…",
    "ejected": "make eject FILE=… REASON=…",
    "dependency_cutoff": "exclude-newer in pyproject.toml, which is yours",
}


def changed_answers(given: Sequence[str]) -> dict[str, str]:
    """The answers of `NAME=VALUE`; whether a value is one, Copier says.

    Raises:
        NotDoneError: it is no answer, or one that another command changes.
    """
    answers = [name for name in read_answers() if not name.startswith("_") and name not in ELSEWHERE]
    found = {}
    for one in given:
        name, is_given, value = one.partition("=")
        if name in ELSEWHERE:
            raise NotDoneError(f"{name} is changed by {ELSEWHERE[name]}", 2)
        if not is_given or name not in answers:
            raise NotDoneError(f"no answer: {one[:64]!r}; expected NAME=VALUE, with one of: {', '.join(answers)}", 2)
        found[name] = value
    return found
