"""Problem details (RFC 9457): the response to every rejected or failed request."""

import json
from collections.abc import Iterable, Mapping
from http.client import responses
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from observability.request.record import current_request
from service.api.violations import violations_of
from service.errors import InvalidRequest, ServiceError, Violation

MEDIA_TYPE = "application/problem+json"


class ProblemResponse(Response):
    media_type = MEDIA_TYPE

    def render(self, content: Mapping[str, Any]) -> bytes:
        """Return ASCII, so that text from clients, lone surrogates included, cannot make it invalid."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def problem_response(request: Request, error: ServiceError) -> ProblemResponse:
    return ProblemResponse(
        {
            "type": problem_type(error.slug),
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            **({"hint": error.hint} if error.hint else {}),
            **({"errors": [_violation(violation) for violation in error.violations]} if error.violations else {}),
            **_occurrence(request),
        },
        status_code=error.status,
        headers=error.headers,
    )


def plain_problem(
    request: Request, status: int, *, detail: str = "", hint: str | None = None, headers: Mapping[str, str]
) -> ProblemResponse:
    """Return the problem document of an error without its own class: `about:blank`, described by its status."""
    return ProblemResponse(
        {
            "type": "about:blank",
            "title": responses.get(status, "Error"),
            "status": status,
            "detail": detail or responses.get(status, "Error"),
            **({"hint": hint} if hint else {}),
            **_occurrence(request),
        },
        status_code=status,
        headers=headers,
    )


def problem_type(slug: str) -> str:
    """Return the URI of a kind of problem."""
    return f"urn:problem-type:flightdeck:{slug}"


def install_problems(app: FastAPI) -> None:
    """Add handlers that turn every exception, the framework's too, into a problem document."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unhandled)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)  # noqa: S101 the signature of handlers is Starlette's
    return problem_response(request, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 the signature of handlers is Starlette's
    return problem_response(request, InvalidRequest(violations_of(error.errors(), request.scope)))


async def _http_exception(request: Request, error: Exception) -> Response:
    """Handle what the framework raises: no route, wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 the signature of handlers is Starlette's
    if isinstance(error.__cause__, ServiceError):  # raised while FastAPI read the body
        return problem_response(request, error.__cause__)
    headers = dict(error.headers or {})
    detail = error.detail if error.detail != responses.get(error.status_code) else ""
    hint = None
    if error.status_code == 404:
        detail = detail or "there is no resource at this path"
        hint = "GET / links to every route; GET /openapi.json describes them"
    elif error.status_code == 405:
        headers["Allow"] = ", ".join(allowed_methods(headers.get("Allow", "")))
        detail = detail or f"{request.method[:20]} is not allowed here; allowed: {headers['Allow']}"
    return plain_problem(request, error.status_code, detail=detail, hint=hint, headers=headers)


async def _unhandled(request: Request, error: Exception) -> Response:  # noqa: ARG001 details of failures are not disclosed
    return problem_response(
        request, ServiceError("internal server error", hint="quote the trace id when you report this")
    )


def allowed_methods(allow: str) -> Iterable[str]:
    """Return the methods of an `Allow` header in order, with HEAD for every GET."""
    methods = {method.strip() for method in allow.split(",") if method.strip()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _violation(violation: Violation) -> dict[str, str]:
    return {
        "in": violation.location,
        "name": violation.name,
        "message": violation.message,
        **({"allowed": violation.allowed} if violation.allowed else {}),
    }


def _occurrence(request: Request) -> dict[str, str]:
    """Return the path of the request and its trace id."""
    record = current_request.get()
    trace_id = record.trace_id_hex if record is not None else ""
    return {"instance": request.url.path[:200], **({"trace_id": trace_id} if trace_id else {})}
