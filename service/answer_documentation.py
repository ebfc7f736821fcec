"""What OpenAPI says about answers: their problems, and what techniques leave out of them."""

from typing import Any, Final

from fastapi import FastAPI

from service.problem_documentation import document_problems
from service.settings import Settings

ALWAYS_WHOLE: Final = frozenset({"ExportOut", "ExportRequest", "Links", "Problem", "Violation"})
"""Schemas of answers that leave nothing out."""
CHOSEN: Final = "FlightOut"
"""The schema of objects of which a client chooses the fields."""


def document_answers(app: FastAPI, settings: Settings) -> None:
    """Complete the application's OpenAPI document for the techniques that the settings switch on."""
    document_problems(app, not_modified=settings.uses("http_cache"))
    if settings.uses("slim_responses"):
        _document_absence(app)


def _document_absence(app: FastAPI) -> None:
    """Say which properties may be absent: those without a value, and those that were not asked for."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        for name, schema in document["components"]["schemas"].items():
            if "required" in schema and name not in ALWAYS_WHOLE:
                present = [one for one in schema["required"] if not _is_nullable(schema["properties"][one])]
                schema["required"] = [] if name == CHOSEN else present
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents


def _is_nullable(schema: dict[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())
