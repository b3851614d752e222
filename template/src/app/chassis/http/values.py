"""Values of wire shapes that a JSON Schema tells whole: moments, decimals. Imports nothing of the chassis."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = ["DecimalText", "Moment"]


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:  # year 1 east of Greenwich
        words = {"expected": "a date and time of the years 1 to 9999 in UTC"}
        raise PydanticCustomError("moment", "out of range", words) from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A date and time with a zone, as `UtcDateTime` stores it."""


class DecimalText:
    """A decimal without a sign that travels as text, for JSON's numbers are binary.

    `Annotated[Decimal, DecimalText(12, 2)]` has 12 digits at most and just 2 places, as `Numeric(12, 2)` stores it.
    """

    def __init__(self, digits: int, places: int) -> None:
        self._places = places
        self._pattern = rf"^[0-9]{{1,{digits - places}}}" + (rf"\.[0-9]{{{places}}}$" if places else "$")

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """A text of that form, else the decimal that a row holds."""
        text = core_schema.chain_schema(
            [core_schema.str_schema(pattern=self._pattern), core_schema.no_info_plain_validator_function(Decimal)]
        )
        told = core_schema.plain_serializer_function_ser_schema(self._told, when_used="json")
        return core_schema.no_info_wrap_validator_function(self._read, text, serialization=told)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """What both ways have in common."""
        return {"type": "string", "pattern": self._pattern, "examples": [self._told(Decimal("12.5"))]}

    def _read(self, value: Any, read_text: Any) -> Any:
        return value if isinstance(value, Decimal) else read_text(value)

    def _told(self, value: Decimal) -> str:
        return f"{value:.{self._places}f}"
