"""The format of log records: a line of JSON, or text for a terminal."""

import json
import logging
import re
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from observability.core.internal_errors import record_internal_error
from observability.logs.correlation import exception_text, ids_of
from observability.logs.fields import plain_fields, text
from observability.logs.record import STACK, log_event, message_of

RESERVED: Final = (
    "timestamp", "level", "logger", "message", "exception", "stack", "trace_id", "span_id", "request_id",
)  # fmt: skip
"""The names of a record's own fields; a caller's field of that name gets an underscore at its end."""

_OF_CONSOLE: Final = (*RESERVED, "event", "exc_info", "logger_name")

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters of terminals and line breaks, except tab and newline."""


def formatter(*, json: bool, colors: bool) -> logging.Formatter:
    """Return the formatter of all records, of structlog and of the standard library."""
    return JsonFormatter() if json else ConsoleFormatter(colors=colors)


class JsonFormatter(logging.Formatter):
    """Formats every record as one line of JSON; a configuration of logging may name it."""

    def __init__(self, **_: object) -> None:
        """Ignore the options of other formatters: uvicorn sets `use_colors` on its own."""
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record, reserved=RESERVED), allow_nan=False)


class ConsoleFormatter(logging.Formatter):
    """Formats records for people, without control characters."""

    def __init__(self, *, colors: bool, **_: object) -> None:
        from structlog import dev  # noqa: PLC0415 slow to import

        super().__init__()
        self._render = dev.ConsoleRenderer(colors=colors, exception_formatter=dev.plain_traceback)

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record, reserved=_OF_CONSOLE)
        event = {"event": fields.pop("message"), **fields}
        return self._render(None, "", {_visible(name): _visible(value) for name, value in event.items()})


def configure_structlog() -> bool:
    """Send structlog's events through the standard library, so that all records have the same handlers.

    Return False where the application has configured structlog: its configuration stays.
    """
    import structlog  # noqa: PLC0415 slow to import

    if structlog.is_configured():
        return False
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            _interpolate,
            _add_stack,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return True


def reset_structlog() -> None:
    """Undo what `configure_structlog()` did."""
    import structlog  # noqa: PLC0415 slow to import

    structlog.reset_defaults()


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False  # closed


def _fields(record: logging.LogRecord, *, reserved: tuple[str, ...]) -> dict[str, Any]:
    """Return the record's own fields, those that every record has first, and then the caller's."""
    own: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")[:-6] + "Z",
        "level": record.levelname.lower(),
        "logger": text(record.name),
    }
    try:
        event = log_event(record)
        own["message"] = event.message
        if event.error is not None:
            own["exception"] = text(exception_text(event.error))
        if event.stack:
            own["stack"] = event.stack
        own |= ids_of(event.error) | plain_fields(event.failure)
        return own | plain_fields(event.fields, taken={*reserved, *own})
    except Exception as error:  # noqa: BLE001 a record without its fields is better than none
        record_internal_error("logs", error)
        return {"message": f"<a record that could not be formatted: {type(error).__name__}>", **own}


def _interpolate(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Insert the positional arguments into the message."""
    args = event.pop("positional_args", None)
    if args:
        record = logging.LogRecord("", 0, "", 0, event.get("event", ""), args, None)
        event["event"], failure = message_of(record)
        event.update(plain_fields(failure, taken=event))
    return event


def _add_stack(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the stack if the event has `stack_info=True`."""
    if event.pop("stack_info", None):
        from structlog.processors import StackInfoRenderer  # noqa: PLC0415 slow to import

        render = StackInfoRenderer(additional_ignores=["observability.logs"])
        event[STACK] = render(logger, name, {"stack_info": True})["stack"]
    return event


def _visible(value: Any) -> Any:
    """Prevent text of clients from controlling the terminal or from imitating a record."""
    if not isinstance(value, str):
        return value
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", value).replace("\n", "\n    ")
