"""Shape of a row that is imported, for a domain's `imports.py`. May import http."""

from pydantic import BaseModel, ConfigDict

from app.chassis.http.schema import Email

__all__ = ["Email", "ImportRow"]


class ImportRow(BaseModel):
    """Base of a domain's `Row`: its fields are the columns of the file, and there are no others."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
