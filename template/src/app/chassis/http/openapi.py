"""The OpenAPI document tells what is really sent: the envelope for every status. May import envelope."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.chassis.http.envelope import ErrorEnvelope, Meta, PageMeta, Problem

__all__ = ["enveloped_openapi"]

_REF = "#/components/schemas/"
_ERROR = {
    "application/json": {"schema": {"$ref": f"{_REF}ErrorEnvelope"}},
    "application/problem+json": {"schema": {"$ref": f"{_REF}Problem"}},
}
# What any route can answer, whatever it does; `default` covers the rest of the table.
_ALWAYS = {
    "400": "Malformed request",
    "404": "Not found",
    "405": "Method not allowed",
    "413": "Body too large",
    "500": "Internal error",
    "503": "Not available now",
    "504": "Took too long",
    "default": "Any other error",
}
_WITH_VERSION = {"412": "It changed since you read it", "428": "If-Match is missing"}
_WITH_BODY = {"408": "Request came too slowly", "415": "Content type not supported", "422": "Input not valid"}


def enveloped_openapi(app: FastAPI, *, is_deprecated: bool) -> dict[str, Any]:
    """FastAPI's document with each JSON success wrapped in `data`/`meta` and each error answer declared."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        contact=app.contact,
        routes=app.routes,
        servers=app.servers,
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    for path in document.get("paths", {}).values():
        for operation in path.values():
            _wrap_operation(operation, schemas)
            if is_deprecated:
                operation["deprecated"] = True
    for unused in [name for name in schemas if name in ("HTTPValidationError", "ValidationError") or _is_page(name)]:
        del schemas[unused]  # replaced by an envelope
    for model in (ErrorEnvelope, Meta, PageMeta, Problem):
        schema = model.model_json_schema(ref_template=_REF + "{model}", mode="serialization")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _wrap_operation(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    for status, response in responses.items():
        content = response.get("content", {}).get("application/json")
        if content is None or not status.startswith("2"):
            continue
        content["schema"] = {"$ref": _REF + _envelope_of(content.get("schema", {}), operation, schemas)}
    declared = dict(_ALWAYS)
    if "requestBody" in operation:
        declared |= _WITH_BODY
    elif operation.get("parameters"):
        declared["422"] = _WITH_BODY["422"]
    else:
        responses.pop("422", None)
    headers = {p["name"].lower(): p for p in operation.get("parameters", ()) if p["in"] == "header"}
    if "if-none-match" in headers:
        responses["304"] = {"description": "Not changed since the version If-None-Match names"}
    if "if-match" in headers:
        headers["if-match"]["required"] = True  # its absence is 428, not 422, so the parameter itself is optional
        declared |= _WITH_VERSION
    for status, meaning in declared.items():
        described = responses.get(status, {}).get("description", meaning)
        described = meaning if described == "Validation Error" else described
        responses[status] = {"description": described, "content": _ERROR}
    for status, response in responses.items():
        if status[0] in "45":
            response["content"] = _ERROR
    operation["responses"] = dict(sorted(responses.items()))


def _envelope_of(schema: dict[str, Any], operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Name of the envelope component for a payload schema; made on first use."""
    payload, meta = schema, {"$ref": f"{_REF}Meta"}
    inner = schema.get("$ref", "").removeprefix(_REF)
    name = f"{inner or operation['operationId']}Envelope"
    if _is_page(inner):
        page = schemas[inner]
        payload = page["properties"]["data"]
        meta = {"$ref": f"{_REF}PagedMeta"}
        schemas["PagedMeta"] = _paged_meta()
        name = inner.removeprefix("Page_").strip("_") + "PageEnvelope"
    schemas[name] = {
        "type": "object",
        "title": name,
        "required": ["data", "meta"],
        "properties": {"data": payload, "meta": meta},
    }
    return name


def _is_page(name: str) -> bool:
    return name.startswith("Page_")


def _paged_meta() -> dict[str, Any]:
    schema = Meta.model_json_schema(mode="serialization")
    schema["title"] = "PagedMeta"
    schema["properties"]["page"] = {"$ref": f"{_REF}PageMeta"}
    schema["required"] = [*schema["required"], "page"]
    return schema
