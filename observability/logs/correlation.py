"""Which request and trace a log record belongs to."""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from opentelemetry import trace

from observability.privacy.request_secrets import scrubber_for
from observability.request.record import RequestRecord, current_request

_MARK: Final = "_observability_request"


def log_ids() -> dict[str, str]:
    """Return the trace, span and request ids of what is running now; nothing outside of requests and spans."""
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
    """Remember on an exception which request it ended: servers log it after the request is over."""
    error.__dict__[_MARK] = record


def exception_text(error: BaseException) -> str:
    """Return the exception's traceback without its secrets and those of the request that it ended."""
    return scrubber_for(error, _ended_by(error)).text("".join(traceback.format_exception(error))).rstrip("\n")


def exception_of(event: Mapping[str, Any]) -> BaseException | None:
    """Return the exception that a log event is about."""
    info = event.get("exc_info")
    if info is None or info is False:
        record = event.get("_record")
        info = record.exc_info if isinstance(record, logging.LogRecord) else None
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    return error if isinstance(error, BaseException) else None


def add_ids(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids to a structlog event, or those of the request that its exception ended."""
    ids = log_ids()
    if not ids:
        error = exception_of(event)
        record = _ended_by(error) if error is not None else None
        if record is not None:
            ids = {"trace_id": record.trace_id_hex, "span_id": record.span_id_hex, "request_id": record.request_id}
    for name, value in ids.items():
        event.setdefault(name, value)
    return event


def _ended_by(error: BaseException) -> RequestRecord | None:
    record = getattr(error, _MARK, None)
    return record if isinstance(record, RequestRecord) else current_request.get()
