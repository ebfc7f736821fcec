"""The content codings: one call for a whole body, an object for a stream. All release the interpreter lock.

The levels come from the cost curve of `python -m bench.compression`: of those that take at most 12 % more bytes than
zlib's level 9, which Starlette uses, the ones that take the least time. A step further costs more than it saves.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard
from zlib_ng import zlib_ng

ZSTD_LEVEL: Final = 3
BROTLI_QUALITY: Final = 3
GZIP_LEVEL: Final = 5

_GZIP_WINDOW_BITS: Final = 31
_OF_THIS_THREAD: Final = threading.local()


class Stream(Protocol):
    """Compresses a body that comes in parts."""

    def part(self, data: bytes, *, is_last: bool) -> bytes:
        """Return everything that is known so far, so that the client can read it now."""


class ZstdStream:
    """A zstd stream, flushed after every part."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()

    def part(self, data: bytes, *, is_last: bool) -> bytes:
        """Return everything that is known so far."""
        end = zstandard.COMPRESSOBJ_FLUSH_FINISH if is_last else zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return self._compressor.compress(data) + self._compressor.flush(end)


class BrotliStream:
    """A brotli stream, flushed after every part."""

    def __init__(self) -> None:
        self._compressor = brotli.Compressor(quality=BROTLI_QUALITY)

    def part(self, data: bytes, *, is_last: bool) -> bytes:
        """Return everything that is known so far."""
        done: bytes = self._compressor.process(data)
        end: bytes = self._compressor.finish() if is_last else self._compressor.flush()
        return done + end


class GzipStream:
    """A gzip stream, flushed after every part."""

    def __init__(self) -> None:
        self._compressor = zlib_ng.compressobj(GZIP_LEVEL, zlib_ng.DEFLATED, _GZIP_WINDOW_BITS)

    def part(self, data: bytes, *, is_last: bool) -> bytes:
        """Return everything that is known so far."""
        end = zlib_ng.Z_FINISH if is_last else zlib_ng.Z_SYNC_FLUSH
        return self._compressor.compress(data) + self._compressor.flush(end)


def zstd(body: bytes, level: int = ZSTD_LEVEL) -> bytes:
    """Return the body as one zstd frame."""
    compressors: dict[int, zstandard.ZstdCompressor] = _OF_THIS_THREAD.__dict__.setdefault("zstd", {})
    if level not in compressors:  # making one takes as long as compressing 10 kB, and threads can not share it
        compressors[level] = zstandard.ZstdCompressor(level=level)
    return compressors[level].compress(body)


def br(body: bytes, level: int = BROTLI_QUALITY) -> bytes:
    """Return the body in brotli."""
    compressed: bytes = brotli.compress(body, quality=level)
    return compressed


def gzip(body: bytes, level: int = GZIP_LEVEL) -> bytes:
    """Return the body in gzip, without a time, so that every process makes the same bytes."""
    return zlib_ng.compress(body, level, _GZIP_WINDOW_BITS)


@dataclass(frozen=True, slots=True)
class Coding:
    """How one content coding is made, and what it takes."""

    whole: Callable[[bytes], bytes]
    stream: Callable[[], Stream]
    s_per_mb: float
    """CPU seconds for a megabyte of JSON, from the cost curve; other machines differ, the codings' order hardly."""


BY_NAME: Final = {
    "zstd": Coding(zstd, ZstdStream, s_per_mb=0.0016),
    "br": Coding(br, BrotliStream, s_per_mb=0.0036),
    "gzip": Coding(gzip, GzipStream, s_per_mb=0.0045),
}
