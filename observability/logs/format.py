"""The format of log records: a line of JSON, or text for a terminal."""

import logging
import re
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor

from observability.logs.correlation import add_ids, exception_of, exception_text

_FIRST: Final = ("timestamp", "level", "logger", "message")

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters of terminals and line breaks, except tab and newline."""


def formatter(*, json: bool, colors: bool) -> logging.Formatter:
    """Return the formatter of all records, of structlog and of the standard library."""
    if json:
        render: list[Processor] = [_order_keys, structlog.processors.JSONRenderer()]
    else:
        console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        render = [_escape_control_characters, console]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
            add_ids,
        ],
        processors=[
            _normalised,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *render,
        ],
    )


def configure_structlog() -> None:
    """Send structlog's events through the standard library, so that all records have the same handlers."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
            structlog.processors.StackInfoRenderer(),
            add_ids,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False  # closed


def _normalised(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the traceback as text, and remove what only uvicorn's own handler uses."""
    error = exception_of(event)
    if error is not None:
        event["exception"] = exception_text(error)
    event.pop("exc_info", None)
    event.pop("color_message", None)
    event["event"] = str(event.get("event", "")).rstrip("\n")
    return event


def _order_keys(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put the keys that every record has first, for readability."""
    event["message"] = event.pop("event")
    return {**{name: event[name] for name in _FIRST if name in event}, **event}


def _escape_control_characters(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Prevent text of clients from controlling the terminal or from imitating a record."""
    for name, value in event.items():
        if isinstance(value, str):
            visible = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", value)
            event[name] = visible.replace("\n", "\n    ")
    return event
