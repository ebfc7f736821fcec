"""The content codings: a function for a whole body, an object for a stream. All of them release the GIL.

The levels come from `python -m bench.compression`: the fastest whose output is at most 12 % larger than that of zlib's
level 9, which Starlette uses. The next level costs more time than its bytes save.
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
_THREAD_LOCAL: Final = threading.local()


class Stream(Protocol):
    """Compresses a body in parts."""

    def part(self, data: bytes, *, is_last: bool) -> bytes:
        """Return all output for the data so far, so that the client can decompress it now."""


class ZstdStream:
    """A zstd stream, flushed after every part."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()

    def part(self, data: bytes, *, is_last: bool) -> bytes:
        end = zstandard.COMPRESSOBJ_FLUSH_FINISH if is_last else zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return self._compressor.compress(data) + self._compressor.flush(end)


class BrotliStream:
    """A brotli stream, flushed after every part."""

    def __init__(self) -> None:
        self._compressor = brotli.Compressor(quality=BROTLI_QUALITY)

    def part(self, data: bytes, *, is_last: bool) -> bytes:
        done: bytes = self._compressor.process(data)
        end: bytes = self._compressor.finish() if is_last else self._compressor.flush()
        return done + end


class GzipStream:
    """A gzip stream, flushed after every part."""

    def __init__(self) -> None:
        self._compressor = zlib_ng.compressobj(GZIP_LEVEL, zlib_ng.DEFLATED, _GZIP_WINDOW_BITS)

    def part(self, data: bytes, *, is_last: bool) -> bytes:
        end = zlib_ng.Z_FINISH if is_last else zlib_ng.Z_SYNC_FLUSH
        return self._compressor.compress(data) + self._compressor.flush(end)


def zstd(body: bytes, level: int = ZSTD_LEVEL) -> bytes:
    compressors: dict[int, zstandard.ZstdCompressor] = _THREAD_LOCAL.__dict__.setdefault("zstd", {})
    if level not in compressors:  # creating one costs as much as compressing 10 kB, and it is not thread-safe
        compressors[level] = zstandard.ZstdCompressor(level=level)
    return compressors[level].compress(body)


def br(body: bytes, level: int = BROTLI_QUALITY) -> bytes:
    compressed: bytes = brotli.compress(body, quality=level)
    return compressed


def gzip(body: bytes, level: int = GZIP_LEVEL) -> bytes:
    """Return the body without a timestamp, so that every process produces the same bytes."""
    return zlib_ng.compress(body, level, _GZIP_WINDOW_BITS)


@dataclass(frozen=True, slots=True)
class Coding:
    """The functions of one content coding, and its cost."""

    whole: Callable[[bytes], bytes]
    stream: Callable[[], Stream]
    s_per_mb: float
    """CPU seconds per megabyte of JSON, from `bench.compression`; the order is the same on most machines."""


BY_NAME: Final = {
    "zstd": Coding(zstd, ZstdStream, s_per_mb=0.0016),
    "br": Coding(br, BrotliStream, s_per_mb=0.0036),
    "gzip": Coding(gzip, GzipStream, s_per_mb=0.0045),
}
