"""How log records look: JSON, one line each, or lines for people on a terminal."""

import logging
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor

from observability.log_ids import add_ids, exception_of, exception_text

_FIRST: Final = ("timestamp", "level", "logger", "message")


def formatter(*, json: bool, colors: bool) -> logging.Formatter:
    """Return the formatter of all records, structlog's and the standard library's."""
    if json:
        render: list[Processor] = [_ordered, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        render = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
            add_ids,
        ],
        processors=[
            _tidied,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *render,
        ],
    )


def configure_structlog() -> None:
    """Send structlog's events through the standard library, so that there is one way out."""
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
    """Whether somebody reads the stream as it is written."""
    try:
        return stream.isatty()
    except ValueError:
        return False  # closed


def _tidied(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write out the exception, and drop what only uvicorn's own handler could use."""
    error = exception_of(event)
    if error is not None:
        event["exception"] = exception_text(error)
    event.pop("exc_info", None)
    event.pop("color_message", None)
    event["event"] = str(event.get("event", "")).rstrip("\n")
    return event


def _ordered(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put what every record has first, so that people can read the lines too."""
    event["message"] = event.pop("event")
    return {**{name: event[name] for name in _FIRST if name in event}, **event}
