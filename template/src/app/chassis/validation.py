"""Says in plain words what pydantic found wrong. Knows no HTTP; never repeats an input value."""

from collections.abc import Mapping
from typing import Any

__all__ = ["NO_NUL", "explain", "printable"]

NO_NUL = r"^[^\u0000]*$"  # PostgreSQL cannot store NUL; declared in every text's schema, so that clients can know

# pydantic error type -> (what is wrong, what is expected); braces are filled from the rule, never from the input.
# Source: https://docs.pydantic.dev/latest/errors/validation_errors/
_WORDS: dict[str, tuple[str, str]] = {
    "missing": ("is missing", "a value"),
    "extra_forbidden": ("is not known here", "only the names this service documents"),
    "string_type": ("is not a text", "a text"),
    "string_too_short": ("is too short", "at least {min_length} characters"),
    "string_too_long": ("is too long", "at most {max_length} characters"),
    "string_pattern_mismatch": ("has the wrong form", "a text that matches {pattern}"),
    "int_type": ("is not a whole number", "a whole number"),
    "int_parsing": ("is not a whole number", "a whole number"),
    "int_parsing_size": ("is too large", "a whole number of at most 64 bits"),
    "int_from_float": ("is not a whole number", "a whole number"),
    "float_type": ("is not a number", "a number"),
    "float_parsing": ("is not a number", "a number"),
    "decimal_type": ("is not a number", "a number"),
    "decimal_parsing": ("is not a number", "a number"),
    "decimal_max_places": ("has too many decimals", "at most {decimal_places} decimals"),
    "decimal_max_digits": ("has too many digits", "at most {max_digits} digits"),
    "finite_number": ("is not a finite number", "a finite number"),
    "bool_type": ("is not true or false", "true or false"),
    "bool_parsing": ("is not true or false", "true or false"),
    "greater_than": ("is too small", "more than {gt}"),
    "greater_than_equal": ("is too small", "{ge} or more"),
    "less_than": ("is too large", "less than {lt}"),
    "less_than_equal": ("is too large", "{le} or less"),
    "multiple_of": ("is off the grid", "a multiple of {multiple_of}"),
    "enum": ("is not one of the choices", "{expected}"),
    "literal_error": ("is not one of the choices", "{expected}"),
    "list_type": ("is not a list", "a list"),
    "dict_type": ("is not an object", "an object"),
    "model_type": ("is not an object", "an object"),
    "model_attributes_type": ("is not an object", "an object"),
    "too_short": ("has too few entries", "at least {min_length} entries"),
    "too_long": ("has too many entries", "at most {max_length} entries"),
    "datetime_type": ("is not a date and time", "a date and time such as 2030-01-31T12:00:00Z"),
    "datetime_parsing": ("is not a date and time", "a date and time such as 2030-01-31T12:00:00Z"),
    "datetime_from_date_parsing": ("is not a date and time", "a date and time such as 2030-01-31T12:00:00Z"),
    "timezone_aware": ("has no time zone", "a date and time with a zone, such as 2030-01-31T12:00:00Z"),
    "date_type": ("is not a date", "a date such as 2030-01-31"),
    "date_parsing": ("is not a date", "a date such as 2030-01-31"),
    "date_from_datetime_parsing": ("is not a date", "a date such as 2030-01-31"),
    "time_parsing": ("is not a time of day", "a time such as 12:00:00"),
    "uuid_type": ("is not a UUID", "a UUID such as 123e4567-e89b-12d3-a456-426614174000"),
    "uuid_parsing": ("is not a UUID", "a UUID such as 123e4567-e89b-12d3-a456-426614174000"),
    "url_parsing": ("is not a URL", "a URL such as https://example.com/"),
    "url_scheme": ("has a scheme that is not allowed", "a URL that starts with {expected_schemes}"),
    "email": ("is not an e-mail address", "an e-mail address such as ada@example.com"),
    "none_required": ("must be null", "null"),
    "wrong_json_type": ("has the wrong JSON type", "{expected}"),
}


def explain(error: Mapping[str, Any]) -> tuple[str, str]:
    """Turn one pydantic error into (what is wrong, what is expected).

    A validator of the team that raises ValueError("a; b") speaks for itself: `a` is the detail, `b` what is expected.
    """
    kind, rule = error["type"], error.get("ctx") or {}
    if kind in ("value_error", "assertion_error"):
        detail, _, expected = str(rule.get("error", "")).partition("; ")
        return detail or "is not valid", expected or "see the documentation"
    detail, expected = _WORDS.get(kind, ("is not valid", "see the documentation"))
    if "expected" in rule:
        return detail, str(rule["expected"])
    if rule.get("pattern") == NO_NUL:
        expected = "a text without NUL characters"
    try:
        return detail, expected.format_map(rule)
    except (KeyError, IndexError, ValueError):
        return detail, "see the documentation"


def printable(name: object, limit: int = 64) -> str:
    """Name from outside, cut to `limit` printable ASCII characters; anything else becomes `?`."""
    text = str(name)[:limit]
    return "".join(c if " " <= c <= "~" else "?" for c in text)
