"""The fields that callers log, under names of their own and as values that JSON and OTLP have.

No value fails and none is lost, within the limits below.
"""

import json
from collections import deque
from collections.abc import Callable, Collection, Mapping
from math import isfinite, isnan
from typing import Any, Final

MAX_DEPTH: Final = 60
"""Levels of containers in a field; common parsers of JSON stop at 64."""

MAX_VALUES: Final = 10_000
"""Values in a record: few objects that contain each other can be endless text."""

_SEQUENCES: Final = (list, tuple, set, frozenset, deque)
_INT64: Final = range(-(2**63), 2**63)


def text(value: str) -> str:
    """Return the text with lone surrogates, which neither JSON nor OTLP has, as escapes."""
    return str.encode(value, "utf-8", "backslashreplace").decode("utf-8")


def plain_fields(fields: Mapping[Any, Any], *, taken: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields with plain values; a name that is taken or already there gets underscores at its end."""
    return _Conversion().fields(fields, taken=taken)


def plain(value: object) -> Any:
    """Return the value as `None`, a number, text, or lists and dictionaries of them.

    Non-finite floats are `NaN`, `Infinity` and `-Infinity`, integers of more than 64 bits and objects are text.
    """
    return _Conversion().value(value)


class _Conversion:
    """Of the values of one record."""

    def __init__(self) -> None:
        self._path: list[int] = []
        """The ids of the containers around the current value."""
        self._values = 0

    def value(self, value: object) -> Any:
        try:
            return self._plain(value)
        except Exception as error:  # noqa: BLE001 methods of the caller's objects may raise anything
            return f"<{type(value).__name__}: {type(error).__name__} when logged>"

    def fields(self, fields: Mapping[Any, Any], *, taken: Collection[str] = ()) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for key, value in list(fields.items()):
            name = self._name(key)
            while name in taken or name in named:
                name += "_"
            named[name] = self.value(value)
        return named

    def _plain(self, value: object) -> Any:  # noqa: PLR0911 one for each kind of value
        self._values += 1
        if self._values > MAX_VALUES:
            return f"<{type(value).__name__}: the record has more than {MAX_VALUES} values>"
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return text(value)
        if isinstance(value, int):
            return _integer(int(value))
        if isinstance(value, float):
            return float(value) if isfinite(value) else _non_finite(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value).decode("utf-8", "backslashreplace")
        if isinstance(value, Mapping):
            return self._inside(value, self.fields)
        if isinstance(value, _SEQUENCES):
            return self._inside(value, lambda items: [self.value(item) for item in list(items)])
        return text(repr(value) if isinstance(value, BaseException) else str(value))

    def _inside(self, container: Any, convert: Callable[[Any], Any]) -> Any:
        if id(container) in self._path:
            return f"<{type(container).__name__}: circular reference>"
        if len(self._path) >= MAX_DEPTH:
            return f"<{type(container).__name__}: nested deeper than {MAX_DEPTH} levels>"
        self._path.append(id(container))
        try:
            return convert(container)
        finally:
            self._path.pop()

    def _name(self, key: object) -> str:
        name = self.value(key)
        return name if isinstance(name, str) else json.dumps(name)


def _integer(value: int) -> int | str:
    if value in _INT64:
        return value
    try:
        return str(value)
    except ValueError:  # Python limits the digits of decimal text
        return hex(value)


def _non_finite(value: float) -> str:
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
