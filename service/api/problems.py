"""RFC 9457 problem documents: what every refused or failed request is answered with."""

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
    """A problem document with its status and headers."""

    media_type = MEDIA_TYPE

    def render(self, content: Mapping[str, Any]) -> bytes:
        """Return the document in ASCII, so that no text a client sent, lone surrogates included, can break it."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def problem_response(request: Request, error: ServiceError) -> ProblemResponse:
    """Return the problem document of an error."""
    return ProblemResponse(
        {
            "type": problem_type(error.slug),
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            **({"hint": error.hint} if error.hint else {}),
            **({"errors": [_violation(violation) for violation in error.violations]} if error.violations else {}),
            **_place(request),
        },
        status_code=error.status,
        headers=error.headers,
    )


def plain_problem(
    request: Request, status: int, *, detail: str = "", hint: str | None = None, headers: Mapping[str, str]
) -> ProblemResponse:
    """Return the problem document of an error that has no kind of its own: its status says it all."""
    return ProblemResponse(
        {
            "type": "about:blank",
            "title": responses.get(status, "Error"),
            "status": status,
            "detail": detail or responses.get(status, "Error"),
            **({"hint": hint} if hint else {}),
            **_place(request),
        },
        status_code=status,
        headers=headers,
    )


def problem_type(slug: str) -> str:
    """Return the URI that names a kind of problem."""
    return f"urn:problem-type:flightdeck:{slug}"


def install_problems(app: FastAPI) -> None:
    """Make the application answer every error, its own and the framework's, with a problem document."""
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
    """Return the problem of an error that the framework raised: no route, wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 the signature of handlers is Starlette's
    if isinstance(error.__cause__, ServiceError):  # raised while the framework read the body
        return problem_response(request, error.__cause__)
    headers = dict(error.headers or {})
    detail = error.detail if error.detail != responses.get(error.status_code) else ""
    hint = None
    if error.status_code == 404:
        detail = detail or "nothing is at this address"
        hint = "GET / links to everything; GET /openapi.json describes it"
    elif error.status_code == 405:
        headers["Allow"] = ", ".join(allowed_methods(headers.get("Allow", "")))
        detail = detail or f"{request.method[:20]} is not allowed here; allowed: {headers['Allow']}"
    return plain_problem(request, error.status_code, detail=detail, hint=hint, headers=headers)


async def _unhandled(request: Request, error: Exception) -> Response:  # noqa: ARG001 what broke stays inside
    answer = problem_response(
        request, ServiceError("the request failed; nothing more is told here", hint="the trace id finds the cause")
    )
    answer.headers["Connection"] = "close"  # the server does so after an exception; unwarned, a next request is lost
    return answer


def allowed_methods(allow: str) -> Iterable[str]:
    """Return the methods of an `Allow` header in order, with the HEAD that every GET brings along."""
    methods = {method.strip() for method in allow.split(",") if method.strip()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _violation(violation: Violation) -> dict[str, str]:
    return {
        "in": violation.location,
        "name": violation.name,
        "message": violation.message,
        **({"allowed": violation.allowed} if violation.allowed else {}),
    }


def _place(request: Request) -> dict[str, str]:
    """Return where it happened: the path as it was asked for, and the trace."""
    record = current_request.get()
    trace_id = record.trace_id_hex if record is not None else ""
    return {"instance": request.url.path[:200], **({"trace_id": trace_id} if trace_id else {})}
