"""The bounds of exported log records.

A back end rejects a record beyond its limits for good, after a collector has accepted it: the sender counts it as
exported. So records are truncated before the export, and say what was truncated. The bounds are the defaults of Loki 3.
https://grafana.com/docs/loki/latest/configure/#limits_config
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from opentelemetry.semconv.attributes.exception_attributes import EXCEPTION_STACKTRACE
from opentelemetry.util.types import AnyValue

from observability.core.semconv import LOG_TRUNCATED
from observability.core.truncation import innermost_frames, size_bytes, truncated

MAX_BODY_BYTES: Final = 250_000
"""Loki's `max_line_size` is 256 KB."""

MAX_ATTRIBUTES: Final = 128
"""Loki's `max_structured_metadata_entries_count`; attributes of the resource and what Loki adds are among them."""

MAX_ATTRIBUTES_BYTES: Final = 64_000
"""Names and values together; Loki's `max_structured_metadata_size` is 64 KB."""

MAX_NAME_BYTES: Final = 200
"""Of attributes in a record whose attributes are too long together."""

_OF_LOKI: Final = 12
"""Entries that Loki adds: ids, severity, times, scope, and the level that it detects."""
_OF_LOKI_BYTES: Final = 1_000
_NOTE_BYTES: Final = 1_000
"""The longest note of what was truncated."""


class RecordBounds:
    """Truncates the body and the attributes of records of one resource."""

    def __init__(self, resource: Mapping[str, object]) -> None:
        self._max_attributes = max(0, MAX_ATTRIBUTES - _OF_LOKI - len(resource))
        of_resource = sum(size_bytes(name) + size_bytes(str(value)) for name, value in resource.items())
        self._max_bytes = max(0, MAX_ATTRIBUTES_BYTES - _OF_LOKI_BYTES - of_resource)

    def apply(self, body: str, attributes: Mapping[str, AnyValue]) -> tuple[str, Mapping[str, AnyValue]]:
        """Return body and attributes within the bounds; an attribute has the sizes of what is truncated."""
        if self._fits(body, attributes):
            return body, attributes
        notes: list[str] = []
        if size_bytes(body) > MAX_BODY_BYTES:
            notes.append(f"body: {size_bytes(body)} bytes")
            body = truncated(body, max_bytes=MAX_BODY_BYTES)
        if len(attributes) > self._max_attributes:
            notes.append(f"{len(attributes)} attributes")
            # The first ones are the record's own; one place is for the note.
            attributes = dict(islice(attributes.items(), max(0, self._max_attributes - 1)))
        if _total_bytes(attributes) > self._max_bytes:
            attributes = _shortened(attributes, notes, self._max_bytes - size_bytes(LOG_TRUNCATED) - _NOTE_BYTES)
        if not notes:
            return body, attributes
        return body, {**attributes, LOG_TRUNCATED: truncated(", ".join(notes), max_bytes=_NOTE_BYTES)}

    def _fits(self, body: str, attributes: Mapping[str, AnyValue]) -> bool:
        """Return whether it certainly fits: a character has at most four bytes."""
        if len(body) > MAX_BODY_BYTES // 4 or len(attributes) > self._max_attributes:
            return False
        characters = sum(len(name) + (len(v) if isinstance(v, str) else 24) for name, v in attributes.items())
        return characters <= self._max_bytes // 4


def record_bytes(body: object, attributes: Mapping[str, AnyValue] | None) -> int:
    """Return about how many bytes a record has in an export request."""
    return size_bytes(str(body)) + _total_bytes(attributes or {})


def _total_bytes(attributes: Mapping[str, AnyValue]) -> int:
    return sum(size_bytes(name) + size_bytes(str(value)) for name, value in attributes.items())


def _shortened(attributes: Mapping[str, AnyValue], notes: list[str], max_bytes: int) -> dict[str, AnyValue]:
    """Return the attributes with the longest texts truncated to the same length; add their sizes to the notes."""
    named: dict[str, AnyValue] = {}
    for full_name, value in attributes.items():
        name = truncated(full_name, max_bytes=MAX_NAME_BYTES)
        while name in named:
            name += "_"
        named[name] = value
        if name != full_name:
            notes.append(f"name {truncated(full_name, max_bytes=40)}: {size_bytes(full_name)} bytes")
    texts = {name: size_bytes(value) for name, value in named.items() if isinstance(value, str)}
    others = _total_bytes({name: value for name, value in named.items() if name not in texts})
    limit = _common_limit(texts.values(), max_bytes - others - sum(map(size_bytes, texts)))
    for name, size in texts.items():
        text = named[name]
        if size > limit and isinstance(text, str):
            shorten = innermost_frames if name == EXCEPTION_STACKTRACE else truncated
            named[name] = shorten(text, max_bytes=limit)
            notes.append(f"{name}: {size} bytes")
    return named


def _common_limit(sizes: Iterable[int], room: int) -> int:
    """Return the length up to which texts fit into the room together: short ones leave theirs to long ones."""
    ascending = sorted(sizes)
    for index, size in enumerate(ascending):
        share = max(0, room) // (len(ascending) - index)
        if size > share:
            return share
        room -= size
    return ascending[-1] if ascending else 0
