"""The attributes of a request's span, in the stable semantic conventions for HTTP."""

import re
import traceback
from collections.abc import Mapping
from typing import Final, NamedTuple

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

from observability.http_metrics import METHODS
from observability.request import RequestRecord
from observability.request_secrets import scrubber_for
from observability.route_table import UNMATCHED

LONGEST_TEXT: Final = 512
"""Characters of a caller's text that a span keeps at most."""

_VALUES: Final = re.compile(rb"=[^&;]*")


def request_attributes(scope: Scope, headers: Mapping[bytes, bytes]) -> dict[str, AttributeValue]:
    """Return what is known of the request before it is routed; query values are left out, they may be secrets."""
    method = scope.get("method", "GET")
    attributes: dict[str, AttributeValue] = {
        HTTP_REQUEST_METHOD: method if method in METHODS else "_OTHER",
        URL_SCHEME: scope.get("scheme", "http"),
        URL_PATH: scope["path"][:LONGEST_TEXT],
        NETWORK_PROTOCOL_VERSION: scope.get("http_version", "1.1"),
    }
    if method not in METHODS:
        attributes[HTTP_REQUEST_METHOD_ORIGINAL] = method[:LONGEST_TEXT]
    query = scope.get("query_string")
    if query:
        attributes[URL_QUERY] = redacted_query(query)
    server = scope.get("server")
    if server:
        attributes[SERVER_ADDRESS] = server[0]
        if server[1] is not None:
            attributes[SERVER_PORT] = server[1]
    client = scope.get("client")
    if client:
        attributes[CLIENT_ADDRESS] = client[0]
    agent = headers.get(b"user-agent")
    if agent:
        attributes[USER_AGENT_ORIGINAL] = agent[:LONGEST_TEXT].decode("latin-1")
    return attributes


def redacted_query(query: bytes) -> str:
    """Return the query string's parameter names without their values: `origin=REDACTED&month=REDACTED`."""
    if b"=" not in query:
        return "REDACTED"  # a bare word is a value without a name
    return _VALUES.sub(b"=REDACTED", query)[:LONGEST_TEXT].decode("latin-1")


class Outcome(NamedTuple):
    """What a span learns once its request is over."""

    name: str | None
    """The span's name, if a route answered."""
    attributes: dict[str, AttributeValue]
    is_failure: bool


def outcome_of(record: RequestRecord, *, handler: str, status: int | str, error: BaseException | None) -> Outcome:
    """Return what became of the request."""
    attributes: dict[str, AttributeValue] = {HTTP_RESPONSE_STATUS_CODE: record.status or 500}
    name = None
    if handler != UNMATCHED:
        attributes[HTTP_ROUTE] = handler
        method = record.scope["method"]
        name = f"{method if method in METHODS else 'HTTP'} {handler}"
    if error is not None:
        attributes[ERROR_TYPE] = type(error).__qualname__
    elif isinstance(status, str) or status >= 500:
        attributes[ERROR_TYPE] = str(status)
    return Outcome(name, attributes, is_failure=isinstance(status, int) and status >= 500)


def describe(span: Span, outcome: Outcome) -> None:
    """Add what is known once the request is over."""
    if outcome.name is not None:
        span.update_name(outcome.name)
    if outcome.is_failure:
        span.set_status(Status(StatusCode.ERROR))
    span.set_attributes(outcome.attributes)


def add_exception(span: Span, error: BaseException, record: RequestRecord | None) -> None:
    """Add the exception to the span as an event, without its secrets and those of the request that it ended."""
    scrubber = scrubber_for(error, record)
    event = {
        EXCEPTION_TYPE: type(error).__qualname__,
        EXCEPTION_MESSAGE: scrubber.text(str(error)),
        EXCEPTION_STACKTRACE: scrubber.text("".join(traceback.format_exception(error))),
    }
    span.add_event("exception", event)
