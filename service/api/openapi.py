"""The responses in the OpenAPI document: problems, and properties that techniques leave out."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from service.api.problems import MEDIA_TYPE, problem_type
from service.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    InvalidRequest,
    Overloaded,
    PoolExhausted,
    ServiceError,
    StatementTimeout,
)
from service.settings import Settings


class Violation(BaseModel):
    """One invalid part of a request."""

    in_: str = Field(alias="in", description="`query`, `path`, `header` or `body`.")
    name: str
    message: str
    allowed: str | None = None


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="The kind of problem, as a URI.")
    title: str
    status: int
    detail: str
    hint: str | None = Field(None, description="What to do about it.")
    errors: list[Violation] | None = None
    instance: str = Field(description="The path of the request.")
    trace_id: str | None = Field(None, description="The id of the request in traces and logs.")


EVERYWHERE: tuple[type[ServiceError], ...] = (
    InvalidRequest,
    ServiceError,
    DatabaseBusy,
    DatabaseUnreachable,
    Overloaded,
    PoolExhausted,
    StatementTimeout,
)
"""The problems of every route."""

RESPONSE_HEADERS: dict[int, str] = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}

_, _DEFINITIONS = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
SCHEMAS: dict[str, Any] = _DEFINITIONS["$defs"]


def problems(*kinds: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route with these problems and those of every route."""
    by_status: dict[int, list[type[ServiceError]]] = {}
    documented: tuple[type[ServiceError], ...] = (*kinds, *EVERYWHERE)
    for kind in documented:
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _response(by_status[status]) for status in sorted(by_status)}


def plain_problem_documentation(status: HTTPStatus, description: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route with an error that has no class of its own."""
    example = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": status.phrase,
        "instance": "/flights",
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {"plain": {"value": example}}}
    return {status.value: {"description": description, "content": {MEDIA_TYPE: content}}}


def _response(kinds: list[type[ServiceError]]) -> dict[str, Any]:
    examples = {
        kind.slug: {
            "summary": kind.title,
            "value": {
                "type": problem_type(kind.slug),
                "title": kind.title,
                "status": kind.status,
                "detail": kind.meaning,
                "instance": "/flights",
            },
        }
        for kind in kinds
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
    described: dict[str, Any] = {
        "description": " ".join(kind.meaning for kind in kinds),
        "content": {MEDIA_TYPE: content},
    }
    header = RESPONSE_HEADERS.get(kinds[0].status)
    return described | ({"headers": {header: {"schema": {"type": "string"}}}} if header else {})


ALWAYS_COMPLETE: Final = frozenset({"ExportOut", "ExportRequest", "Links", "Problem", "Violation"})
"""Schemas whose responses never leave a property out."""
SPARSE: Final = "FlightOut"
"""The schema whose fields clients choose (`fields=`)."""


def document_responses(app: FastAPI, settings: Settings) -> None:
    """Complete the OpenAPI document: the schema of problems, 304, and properties that may be absent."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:  # else it is the cached document, completed before
            schemas |= SCHEMAS
            document["components"]["schemas"] = dict(sorted(schemas.items()))
            for operations in document["paths"].values() if settings.uses("http_cache") else ():
                if "get" in operations:
                    operations["get"]["responses"]["304"] = {"description": "The client's copy is current."}
            if settings.uses("slim_responses"):
                _make_optional(document["components"]["schemas"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it


def _make_optional(schemas: dict[str, Any]) -> None:
    """Take properties that may be absent out of `required`: nullable ones, and those that clients did not choose."""
    for name, schema in schemas.items():
        if "required" in schema and name not in ALWAYS_COMPLETE:
            present = [one for one in schema["required"] if not _is_nullable(schema["properties"][one])]
            schema["required"] = [] if name == SPARSE else present


def _is_nullable(schema: dict[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())
