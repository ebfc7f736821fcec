"""How a result becomes the bytes of a response: full objects, or slim ones (technique `slim_responses`)."""

from typing import Any, Protocol

from pydantic import BaseModel
from starlette.responses import Response

from observability.request.server_timing import timing


class Responses(Protocol):
    """Makes responses of results; the JSON is written once, straight from the models."""

    def render(self, result: BaseModel, *, fields: frozenset[str] | None = None) -> Response:
        """Return the response; `fields` are the fields that were asked for of each object in the result's `items`."""


class FullResponses:
    """Every field of every object, nulls included, whatever was asked for."""

    def render(self, result: BaseModel, *, fields: frozenset[str] | None = None) -> Response:  # noqa: ARG002 full is full
        """Return the whole result."""
        with timing("serialize"):
            body = result.__pydantic_serializer__.to_json(result)
        return json_response(body)


class SparseResponses:
    """Only the fields that were asked for, and no nulls."""

    def render(self, result: BaseModel, *, fields: frozenset[str] | None = None) -> Response:
        """Return what of the result was asked for and has a value."""
        include: dict[str, Any] | None = None
        if fields is not None:
            include = dict.fromkeys(type(result).model_fields, True) | {"items": {"__all__": fields}}
        with timing("serialize"):
            body = result.__pydantic_serializer__.to_json(result, include=include, exclude_none=True)
        return json_response(body)


def json_response(body: bytes, *, status: int = 200) -> Response:
    """Return a response of ready-made JSON."""
    return Response(body, status_code=status, media_type="application/json")
