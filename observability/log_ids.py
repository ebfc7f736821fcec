"""Which request and trace a log record belongs to."""

import logging
from collections.abc import MutableMapping
from typing import Any, Final

from opentelemetry import trace

from observability.request import RequestRecord, current_request

_MARK: Final = "_observability_ids"


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


def mark(error: BaseException, record: RequestRecord) -> None:
    """Remember on an exception which request it ended: servers log it after the request is over."""
    error.__dict__[_MARK] = {"trace_id": record.trace_id, "span_id": record.span_id, "request_id": record.request_id}


def add_ids(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids to a structlog event, or those of the request that its exception ended."""
    ids = log_ids() or _ids_of_exception(event)
    for name, value in ids.items():
        event.setdefault(name, value)
    return event


def _ids_of_exception(event: MutableMapping[str, Any]) -> dict[str, str]:
    info = event.get("exc_info")
    if info is None:
        record = event.get("_record")
        info = record.exc_info if isinstance(record, logging.LogRecord) else None
    error = info[1] if isinstance(info, tuple) else info
    ids = getattr(error, _MARK, None)
    return ids if isinstance(ids, dict) else {}
