"""The attributes of a server span, in the stable semantic conventions for HTTP."""

import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.exception_attributes import (
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_METHOD_ORIGINAL,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_VERSION
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.semconv.attributes.url_attributes import URL_PATH, URL_QUERY, URL_SCHEME
from opentelemetry.semconv.attributes.user_agent_attributes import USER_AGENT_ORIGINAL
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.util.types import AttributeValue
from starlette.types import Scope

from observability.core.semconv import exception_type
from observability.privacy.request_secrets import scrubber_for
from observability.privacy.scrub import MAX_TEXT, redacted_query
from observability.request.record import METHODS, RequestRecord
from observability.request.route_table import UNMATCHED

OTHER_METHOD: Final = "_OTHER"


def scope_fields(scope: Scope) -> dict[str, Any]:
    """Return what a span needs of the scope, without a reference to the application."""
    get = scope.get
    return {
        "method": get("method", "GET"),
        "scheme": get("scheme", "http"),
        "path": scope["path"],
        "http_version": get("http_version", "1.1"),
        "query_string": get("query_string"),
        "server": get("server"),
        "client": get("client"),
        "headers": scope["headers"],
    }


def request_attributes(scope_fields: Mapping[str, Any]) -> tuple[str, dict[str, AttributeValue]]:
    """Return a span's name and attributes before routing; without the values of the query, which may be secrets."""
    method = scope_fields["method"]
    common = common_attributes(
        method if method in METHODS else OTHER_METHOD,
        scope_fields["scheme"],
        scope_fields["http_version"],
        scope_fields["server"],
    )
    return span_name(method), common | own_attributes(scope_fields)


def span_name(method: str) -> str:
    """Return the name of a span without a route."""
    return method if method in METHODS else "HTTP"


def common_attributes(
    method: str, scheme: str, http_version: str, server: Sequence[Any] | None
) -> dict[str, AttributeValue]:
    """Return the attributes that many requests share; `method` is one of `METHODS` or `OTHER_METHOD`."""
    attributes: dict[str, AttributeValue] = {
        HTTP_REQUEST_METHOD: method,
        URL_SCHEME: scheme,
        NETWORK_PROTOCOL_VERSION: http_version,
    }
    if server:
        attributes[SERVER_ADDRESS] = server[0]
        if server[1] is not None:
            attributes[SERVER_PORT] = server[1]
    return attributes


def own_attributes(scope_fields: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return the attributes that differ from request to request."""
    method, query, client = scope_fields["method"], scope_fields["query_string"], scope_fields["client"]
    attributes: dict[str, AttributeValue] = {URL_PATH: scope_fields["path"][:MAX_TEXT]}
    if method not in METHODS:
        attributes[HTTP_REQUEST_METHOD_ORIGINAL] = method[:MAX_TEXT]
    if query:
        attributes[URL_QUERY] = redacted_query(query)
    if client:
        attributes[CLIENT_ADDRESS] = client[0]
    agent = dict(scope_fields["headers"]).get(b"user-agent")
    if agent:
        attributes[USER_AGENT_ORIGINAL] = agent[:MAX_TEXT].decode("latin-1")
    return attributes


class RequestOutcome(NamedTuple):
    name: str | None
    """Of the span; None without a route."""
    attributes: dict[str, AttributeValue]
    is_failure: bool


def request_outcome(
    name: str, response_status: int, *, handler: str, status: int | str, error: BaseException | None
) -> RequestOutcome:
    """Return the outcome of a request; `response_status` is 0 if no response started."""
    attributes: dict[str, AttributeValue] = {}
    if isinstance(status, int):
        attributes[HTTP_RESPONSE_STATUS_CODE] = response_status or 500
    elif 0 < response_status < 500:  # a client that disconnected got no other
        attributes[HTTP_RESPONSE_STATUS_CODE] = response_status
    routed = None
    if handler != UNMATCHED:
        attributes[HTTP_ROUTE] = handler
        routed = f"{name} {handler}"
    is_failure = isinstance(status, int) and status >= 500
    if error is not None and is_failure:
        attributes[ERROR_TYPE] = exception_type(error)
    elif isinstance(status, str) or is_failure:
        attributes[ERROR_TYPE] = str(status)
    return RequestOutcome(routed, attributes, is_failure=is_failure)


def apply_outcome(span: Span, outcome: RequestOutcome) -> None:
    if outcome.name is not None:
        span.update_name(outcome.name)
    if outcome.is_failure:
        span.set_status(Status(StatusCode.ERROR))
    span.set_attributes(outcome.attributes)


def add_exception(span: Span, error: BaseException, record: RequestRecord | None) -> None:
    """Add the exception as an event, without its secrets and those of the request."""
    span.add_event("exception", exception_event(error, record))


def exception_event(error: BaseException, record: RequestRecord | None) -> dict[str, AttributeValue]:
    scrubber = scrubber_for(error, record)
    return {
        EXCEPTION_TYPE: exception_type(error),
        EXCEPTION_MESSAGE: scrubber.text(str(error)),
        EXCEPTION_STACKTRACE: scrubber.text("".join(traceback.format_exception(error))),
    }
