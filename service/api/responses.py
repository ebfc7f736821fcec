"""Responses from results: full objects, or sparse ones (technique `slim_responses`)."""

from typing import Any, Protocol

from pydantic import BaseModel
from starlette.responses import Response

from observability.request.server_timing import timing


class Responses(Protocol):
    """Renders results; the models are serialised to JSON once."""

    def render(self, result: BaseModel, *, fields: frozenset[str] | None = None) -> Response:
        """Return the response; `fields` are the requested fields of each object in the result's `items`."""


class FullResponses:
    """Every field of every object, nulls included."""

    def render(self, result: BaseModel, *, fields: frozenset[str] | None = None) -> Response:  # noqa: ARG002 ignores `fields`
        with timing("serialize"):
            body = result.__pydantic_serializer__.to_json(result)
        return json_response(body)


class SparseResponses:
    """Only the requested fields, without nulls."""

    def render(self, result: BaseModel, *, fields: frozenset[str] | None = None) -> Response:
        include: dict[str, Any] | None = None
        if fields is not None:
            include = dict.fromkeys(type(result).model_fields, True) | {"items": {"__all__": fields}}
        with timing("serialize"):
            body = result.__pydantic_serializer__.to_json(result, include=include, exclude_none=True)
        return json_response(body)


def json_response(body: bytes, *, status: int = 200) -> Response:
    return Response(body, status_code=status, media_type="application/json")
