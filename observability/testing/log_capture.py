"""The log records of a test, as the JSON of production."""

import io
import json
import logging
from typing import Any, Self

from observability.logs.format import configure_structlog, formatter, reset_structlog


class LogCapture:
    """Captures the records of structlog and the standard library inside a `with` block, besides other handlers."""

    def __init__(self, level: int = logging.INFO) -> None:
        self._level = level
        self._level_before = logging.NOTSET
        self._stream = io.StringIO()
        self._handler = logging.StreamHandler(self._stream)
        self._handler.setFormatter(formatter(json=True, colors=False))
        self._configures_structlog = False

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._level_before = root.level
        root.setLevel(min(self._level, root.level or logging.WARNING))
        root.addHandler(self._handler)
        self._configures_structlog = configure_structlog()
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._level_before)
        if self._configures_structlog:
            reset_structlog()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]
