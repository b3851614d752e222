"""Recorded cases, `contract/vN/<operation>/<case>.json`: a request and the answer it got. May import about, validation.

A case that records an error is named by its code; `item_not_found.again` is a second one of that code.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import from_json

from app.chassis.about import project_root
from app.chassis.validation import explain

__all__ = ["Case", "ContractError", "Recorded", "Sent", "cases_of", "contract_folder", "parsed", "shown", "write_whole"]

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?")
_VERSION = re.compile(r"v[1-9][0-9]{0,3}")


class ContractError(Exception):
    """A file of the contract that cannot be used: its path, what is wrong, what is expected."""


_Headers = dict[
    Annotated[str, StringConstraints(pattern=r"^[!#-'*+.0-9A-Z^-z|~-]+$")],
    Annotated[str, StringConstraints(pattern=r"^[ -~]*$")],
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)


class Sent(_Part):
    """A request: `body` is sent as JSON, `text` as it is; `{…#/data/0/id}` is what a GET or a case is answered."""

    method: str = Field(pattern="^[A-Z]+$")
    path: str = Field(pattern="^/v[0-9]+/[!-~]*$")
    headers: _Headers = {}
    body: Any = None
    text: str | None = None

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.text is not None and self.body is not None:
            raise ValueError("has a body and a text; one of them")
        return self


class Recorded(_Part):
    """An answer: status, headers a client may rely on, its JSON or its text; ids and times are the same everywhere."""

    status: int = Field(ge=200, le=599)
    headers: _Headers
    body: Any = None
    text: str | None = None

    @property
    def error(self) -> Any:
        """The error it tells, in the envelope or as a problem document; None for a success."""
        return self.body.get("error", self.body) if self.status >= 400 and isinstance(self.body, dict) else None

    @property
    def example(self) -> Any:
        """What OpenAPI shows of it; None for an answer without a body, or one of bytes."""
        return self.text if self.body is None else self.body


class Case(_Part):
    """One file. `varies` names what differs from run to run, by JSON pointer into the response: `/body/data/token`."""

    request: Sent
    response: Recorded | None = None
    varies: list[str] = []
    file: Path = Field(exclude=True)

    @property
    def version(self) -> str:
        """Such as `v1`."""
        return self.file.parts[-3]

    @property
    def operation(self) -> str:
        """Operation id, such as `create_item`."""
        return self.file.parts[-2]

    @property
    def name(self) -> str:
        """Such as `ok` or `item_not_found`."""
        return self.file.stem

    def write(self) -> bool:
        """Write the file; tell whether that changed it."""
        members = self.model_dump(exclude_defaults=True)
        if self.response is not None:
            members["response"] = self.response.model_dump(exclude_defaults=True)
        content = json.dumps(members, indent=2, ensure_ascii=False) + "\n"
        if self.file.is_file() and self.file.read_text(encoding="utf-8") == content:
            return False
        write_whole(self.file, content)
        return True


def write_whole(file: Path, content: str) -> None:
    """Write all of it or nothing: a full disk or an interrupt leaves what was there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def contract_folder() -> Path:
    """Where a service keeps its contract."""
    return project_root() / "contract"


def cases_of(folder: Path, version: str) -> list[Case]:
    """Every case of one version, in order of operation and name; none if nothing is recorded.

    Raises:
        ContractError: a file is no case.
    """
    return [parsed(file, _content(file)) for file in sorted((folder / version).glob("*/*.json"))]


def _content(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise ContractError(f"{shown(file)}: is no file; expected one that `make contract` can read")
        return file.read_bytes()
    except OSError as error:
        raise ContractError(f"{shown(file)}: cannot be read: {error.strerror}; expected a readable file") from None


def parsed(file: Path, content: bytes) -> Case:
    """The case that a file holds; `file` names it, wherever its content comes from.

    Raises:
        ContractError: it is no case.
    """
    if not _NAME.fullmatch(file.stem):
        raise ContractError(f"{shown(file)}: found that name; expected ok, or an error's code, or either with .more")
    try:
        case = Case.model_validate({**from_json(content, allow_inf_nan=False), "file": file})
    except ValidationError as error:
        raise ContractError(f"{shown(file)}: {'; '.join(_problems(error))}") from None
    except (ValueError, TypeError) as error:
        raise ContractError(f"{shown(file)}: is not a JSON object: {error}; expected one with `request`") from None
    if not case.request.path.startswith(f"/{case.version}/"):
        raise ContractError(
            f"{shown(file)}: request.path is {case.request.path}; expected a path below /{case.version}/"
        )
    return case


def shown(file: Path) -> str:
    """Path as a user would type it in the service's folder."""
    return str(file.relative_to(project_root()) if file.is_relative_to(project_root()) else file)


def _problems(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False):
        detail, expected = explain(problem)
        yield f"{'.'.join(map(str, problem['loc']))} {detail}; expected {expected}"
