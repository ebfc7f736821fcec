"""What a log record says, whether it comes from the standard library or from structlog."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from observability.logs.correlation import exception_of
from observability.logs.fields import plain, text

STACK: Final = "_observability_stack"
"""The key of a structlog event with the rendered stack; `stack` may be a field of the caller."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OF_UVICORN: Final = frozenset({"color_message"})
"""What only uvicorn's own formatter uses."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """The content of a log record, as the caller gave it."""

    message: str
    fields: dict[Any, Any]
    """Of the caller; names and values may be anything."""
    error: BaseException | None
    stack: str
    failure: dict[str, Any] = field(default_factory=dict)
    """The arguments that did not fit the message, and the error."""


def log_event(record: logging.LogRecord) -> LogEvent:
    """Return the content of the record; it does not raise for arguments that do not fit the message."""
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if "_logger" in fields and "_name" in fields and isinstance(record.msg, dict):
        return _structlog_event(record, record.msg)
    if record.name.startswith("uvicorn"):
        fields = {name: value for name, value in fields.items() if name not in _OF_UVICORN}
    message, failure = message_of(record)
    stack = text(record.stack_info) if record.stack_info else ""
    return LogEvent(message, fields, exception_of({"exc_info": record.exc_info}), stack, failure)


def message_of(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """Return the message with its arguments, or without them and the fields that say why."""
    try:
        return text(record.getMessage()).rstrip("\n"), {}
    except Exception as error:  # noqa: BLE001 methods of the caller's objects may raise anything
        return str(plain(record.msg)), {"args": record.args, "args_error": error} if record.args else {}


def _structlog_event(record: logging.LogRecord, event: Mapping[Any, Any]) -> LogEvent:
    fields = {name: value for name, value in event.items() if name not in {"event", "exc_info", STACK}}
    message, _ = message_of(logging.makeLogRecord({"msg": event.get("event", "")}))
    error = exception_of(event)
    if error is None and not isinstance(event.get("exc_info"), bool | tuple | None):
        fields["exc_info"] = event["exc_info"]
    for name, value in {"level": record.levelname.lower(), "logger": record.name}.items():
        if isinstance(fields.get(name), str) and fields[name] == value:
            del fields[name]  # added by structlog's processors
    return LogEvent(message, fields, error, str(event.get(STACK, "")))
