"""Correlation of log records with requests and traces."""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from opentelemetry import trace

from observability.privacy.request_secrets import scrubber_for
from observability.request.record import RequestRecord, current_request

_REQUEST: Final = "_observability_request"


def log_ids() -> dict[str, str]:
    """Return the current trace, span and request ids; none outside of requests and spans."""
    ids: dict[str, str] = {}
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        ids["trace_id"] = f"{context.trace_id:032x}"
        ids["span_id"] = f"{context.span_id:016x}"
    record = current_request.get()
    if record is not None:
        ids["request_id"] = record.request_id
    return ids


def tag_exception(error: BaseException, record: RequestRecord) -> None:
    """Store the request on the exception that ended it: servers log the exception after the request."""
    error.__dict__[_REQUEST] = record


def exception_text(error: BaseException) -> str:
    """Return the traceback without secrets of the exception and its request."""
    return scrubber_for(error, _request_of(error)).text("".join(traceback.format_exception(error))).rstrip("\n")


def exception_of(event: Mapping[str, Any]) -> BaseException | None:
    """Return the exception of a log event."""
    info = event.get("exc_info")
    if info is None or info is False:
        record = event.get("_record")
        info = record.exc_info if isinstance(record, logging.LogRecord) else None
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    return error if isinstance(error, BaseException) else None


def add_ids(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the current ids to a structlog event, else those of the request that its exception ended."""
    ids = log_ids()
    if not ids:
        error = exception_of(event)
        record = _request_of(error) if error is not None else None
        if record is not None:
            ids = {"trace_id": record.trace_id_hex, "span_id": record.span_id_hex, "request_id": record.request_id}
    for name, value in ids.items():
        event.setdefault(name, value)
    return event


def _request_of(error: BaseException) -> RequestRecord | None:
    record = getattr(error, _REQUEST, None)
    return record if isinstance(record, RequestRecord) else current_request.get()
