"""Correlation of log records with requests and traces."""

import sys
import traceback
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import trace

from observability.core.internal_errors import record_internal_error
from observability.core.semconv import exception_type
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
    try:
        return scrubber_for(error, _request_of(error)).text("".join(traceback.format_exception(error))).rstrip("\n")
    except Exception as failure:  # noqa: BLE001 attributes of the exception or the request may raise anything
        record_internal_error("logs", failure)
        return f"{exception_type(error)}: <a traceback that could not be rendered>"


def exception_of(event: Mapping[str, Any]) -> BaseException | None:
    """Return the exception of a log event, given in any form of `exc_info`."""
    info = event.get("exc_info")
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) and len(info) == 3 else info
    return error if isinstance(error, BaseException) else None


def ids_of(error: BaseException | None) -> dict[str, str]:
    """Return the current ids, else those of the request that the exception ended."""
    ids = log_ids()
    record = _request_of(error) if error is not None and not ids else None
    if record is not None:
        ids = {"trace_id": record.trace_id_hex, "span_id": record.span_id_hex, "request_id": record.request_id}
    return ids


def _request_of(error: BaseException) -> RequestRecord | None:
    record = getattr(error, _REQUEST, None)
    return record if isinstance(record, RequestRecord) else current_request.get()
