"""Fields of an OTLP span in the wire format of protobuf; those that repeat are encoded once.

https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from functools import lru_cache
from struct import Struct
from typing import Final

_NAME, _ATTRIBUTE = b"\x2a", b"\x4a"
_DOUBLE: Final = Struct("<d").pack
_MAX_INTEGER: Final = 1 << 63

MAX_CACHED_TEXT: Final = 80
"""Characters of a text whose encoding is cached."""


@lru_cache(maxsize=1024)
def name(value: str) -> bytes:
    return text(_NAME, value)


def pair(key: str, value: object) -> bytes:
    """Return an attribute; raise `TypeError` for a value that is not a text or a number, and for an invalid key."""
    if type(key) is not str or not key:
        raise TypeError(key)
    if type(value) is str:
        return _short_text_pair(key, value) if len(value) <= MAX_CACHED_TEXT else _text_pair(key, value)
    if type(value) is bool:
        return _attribute(key, b"\x10\x01" if value else b"\x10\x00")
    if type(value) is int and -_MAX_INTEGER <= value < _MAX_INTEGER:
        return _integer_pair(key, value)
    if type(value) is float:
        return _attribute(key, b"\x21" + _DOUBLE(value))
    raise TypeError(value)


def _text_pair(key: str, value: str) -> bytes:
    return _attribute(key, with_length(b"\x0a", _utf8(value)))


_short_text_pair = lru_cache(maxsize=4096)(_text_pair)


@lru_cache(maxsize=1024)
def _integer_pair(key: str, value: int) -> bytes:
    return _attribute(key, b"\x18" + varint(value % (1 << 64)))


def _attribute(key: str, value: bytes) -> bytes:
    return with_length(_ATTRIBUTE, text(b"\x0a", key) + with_length(b"\x12", value))


def text(tag: bytes, value: str) -> bytes:
    return with_length(tag, _utf8(value)) if value else b""


def _utf8(value: str) -> bytes:
    """Return the text in UTF-8; a lone surrogate becomes a question mark, it must not fail the batch."""
    return value.encode("utf-8", "replace")


def with_length(tag: bytes, body: bytes) -> bytes:
    return tag + varint(len(body)) + body


def varint(number: int) -> bytes:
    if number < 0x80:
        return _SMALL[number]
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


_SMALL: Final = tuple(bytes((number,)) for number in range(0x80))
