"""The OpenAPI document tells what is really sent: the envelope for every status.

May import deprecation, envelope, failures, names, recordings, validation.
"""

import logging
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi._compat import get_definitions, get_flat_models_from_fields, get_model_name_map
from fastapi.openapi.utils import get_fields_from_routes, get_openapi

from app.chassis.http.deprecation import Deprecated
from app.chassis.http.envelope import CursorPageMeta, ErrorEnvelope, Meta, PageMeta, Problem
from app.chassis.http.failures import REQUIRED, codes_of, error_example, known_rows
from app.chassis.http.names import REF, with_clean_names
from app.chassis.http.recordings import Case, ContractError, cases_of, contract_folder
from app.chassis.validation import NO_NUL

__all__ = ["enveloped_openapi"]

_log = logging.getLogger(__name__)
_PROBLEM = {"schema": {"$ref": f"{REF}Problem"}}
_META_OF = {"Page": "PagedMeta", "CursorPage": "CursorPagedMeta"}
_ANY_OTHER = {
    "description": "Any other error, from before a route is reached",
    "content": {
        "application/json": {"schema": {"$ref": f"{REF}ErrorEnvelope"}},
        "application/problem+json": _PROBLEM,
    },
}


def enveloped_openapi(app: FastAPI, deprecated: Deprecated | None) -> dict[str, Any]:
    """FastAPI's document with each JSON success wrapped in `data`/`meta` and each error answer declared."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=app.servers,
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    document["info"]["contact"] = app.contact  # FastAPI would check an address, and says so on stderr where it cannot
    components: dict[str, Any] = document.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    schemas |= {name: schema for name, schema in _exact_schemas(app).items() if name in schemas}
    examples: dict[str, Any] = components.setdefault("examples", {})
    if deprecated is not None and deprecated.sunset is not None:
        document["info"]["x-sunset"] = deprecated.sunset.isoformat()
    recorded = _recorded(app.version)
    for path in document.get("paths", {}).values():
        for method, operation in path.items():
            _wrap_successes(operation, schemas)
            _declare_failures(operation, method.upper(), app.version, components)
            for case in recorded.get(operation["operationId"], ()):
                _show(case, operation)
            if deprecated is not None:
                operation["deprecated"] = True
    for unused in [name for name in schemas if name in ("HTTPValidationError", "ValidationError") or _is_page(name)]:
        del schemas[unused]  # replaced by an envelope
    for model in (CursorPageMeta, ErrorEnvelope, Meta, PageMeta, Problem):
        schema = model.model_json_schema(ref_template=REF + "{model}", mode="serialization")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    components["examples"] = dict(sorted(examples.items()))
    return with_clean_names(document)


def _exact_schemas(app: FastAPI) -> dict[str, Any]:
    """Schemas as pydantic says them: FastAPI's document makes floats of bounds, and 2**63 - 1 is none."""
    fields = get_fields_from_routes(list(app.routes))
    names = get_model_name_map(get_flat_models_from_fields(fields, known_models=set()))
    _, schemas = get_definitions(
        fields=fields, model_name_map=names, separate_input_output_schemas=app.separate_input_output_schemas
    )
    return deepcopy(schemas)


def _wrap_successes(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json")
        if content is not None and status.startswith("2"):
            content["schema"] = {"$ref": REF + _envelope_of(content.get("schema", {}), operation, schemas)}


def _declare_failures(operation: dict[str, Any], method: str, version: str, components: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    headers = {p["name"].lower(): p for p in operation.get("parameters", ()) if p["in"] == "header"}
    if "if-none-match" in headers:
        responses["304"] = {"description": "Not changed since the version If-None-Match names"}
    if "if-match" in headers:
        headers["if-match"]["required"] = True  # its absence is 428, not 422, so the parameter itself is optional
    for parameter in operation.get("parameters", ()):
        if parameter["schema"].pop(REQUIRED, False):
            parameter["required"] = True
        if parameter["in"] in ("path", "query"):
            _refuse_nul(parameter["schema"])
    codes, rows = codes_of(operation), known_rows()
    envelope = {"schema": {"$ref": REF + _error_of(operation, codes, components["schemas"])}}
    for status in [status for status in responses if status[0] in "45"]:
        del responses[status]  # FastAPI's own 422, or one that says no code
    for code in codes:
        status = str(rows[code].status)
        name, example = error_example(code, rows[code], method, version)
        components["examples"][name] = example
        content = {"application/json": {**envelope, "examples": {}}, "application/problem+json": _PROBLEM}
        response = responses.setdefault(status, {"description": "", "content": content})
        response["content"]["application/json"]["examples"][code] = {"$ref": f"#/components/examples/{name}"}
        response["description"] = "; or ".join(filter(None, (response["description"], rows[code].title)))
    operation["responses"] = dict(sorted(responses.items())) | {"default": _ANY_OTHER}


def _refuse_nul(schema: Any) -> None:
    """A URL with %00 is refused whatever it is for: every text in it says so."""
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _refuse_nul(part)
    if (
        isinstance(schema, dict)
        and schema.get("type") == "string"
        and not {"pattern", "enum", "const", "format"} & schema.keys()
    ):
        schema["pattern"] = NO_NUL


def _recorded(version: str) -> dict[str, list[Case]]:
    cases: dict[str, list[Case]] = {}
    try:
        for case in cases_of(contract_folder(), version):
            cases.setdefault(case.operation, []).append(case)
    except ContractError as error:  # the tests refuse it; a service that runs shows its document without examples
        _log.warning("recorded answers not shown", extra={"reason": str(error)})
    return cases


def _show(case: Case, operation: dict[str, Any]) -> None:
    """Put a recorded answer among the examples of its status; one of an error only where its code is declared."""
    if case.response is None or case.response.example is None:
        return
    content = operation["responses"].get(str(case.response.status), {}).get("content", {})
    media = content.get(case.response.headers.get("content-type", "").partition(";")[0], {})
    examples = media.setdefault("examples", {})
    if case.response.status < 400 or case.name.partition(".")[0] in examples:
        examples[case.name] = {"summary": case.name, "value": case.response.example}


def _error_of(operation: dict[str, Any], codes: list[str], schemas: dict[str, Any]) -> str:
    """Name of the error envelope of one operation, whose `code` is one of those it answers with."""
    name = f"{operation['operationId']}_error"
    code = {"type": "object", "required": ["code"], "properties": {"code": {"type": "string", "enum": codes}}}
    schemas[name] = {
        "type": "object",
        "description": "What the operation answers when it fails.",
        "required": ["error", "meta"],
        "properties": {
            "error": {"allOf": [{"$ref": f"{REF}ErrorBody"}, code]},
            "meta": {"$ref": f"{REF}Meta"},
        },
    }
    return name


def _envelope_of(schema: dict[str, Any], operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Name of the envelope component for a payload schema; made on first use."""
    payload, meta = schema, {"$ref": f"{REF}Meta"}
    inner = schema.get("$ref", "").removeprefix(REF)
    name = f"{inner or operation['operationId']}_envelope"
    if _is_page(inner):
        page = schemas[inner]
        payload = page["properties"]["data"]
        kind, _, shape = inner.partition("_")
        meta = {"$ref": f"{REF}{_META_OF[kind]}"}
        schemas[_META_OF[kind]] = _paged_meta(kind)
        name = f"{shape.strip('_')}_{kind}_envelope"
    schemas[name] = {
        "type": "object",
        "required": ["data", "meta"],
        "properties": {"data": payload, "meta": meta},
    }
    return name


def _is_page(name: str) -> bool:
    return name.partition("_")[0] in _META_OF and "_" in name


def _paged_meta(kind: str) -> dict[str, Any]:
    schema = Meta.model_json_schema(mode="serialization")
    schema["title"] = _META_OF[kind]
    schema["properties"]["page"] = {"$ref": f"{REF}{kind}Meta"}
    schema["required"] = [*schema["required"], "page"]
    return schema
