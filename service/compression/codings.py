"""The content codings: one call for a whole body, an object for a stream. All release the interpreter lock."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard
from isal import isal_zlib

ZSTD_LEVEL = 3
BROTLI_QUALITY = 4
GZIP_LEVEL = 2
GZIP_WINDOW_BITS = 31


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
        self._compressor = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, GZIP_WINDOW_BITS)

    def part(self, data: bytes, *, is_last: bool) -> bytes:
        """Return everything that is known so far."""
        end = isal_zlib.Z_FINISH if is_last else isal_zlib.Z_SYNC_FLUSH
        return self._compressor.compress(data) + self._compressor.flush(end)


def zstd(body: bytes) -> bytes:
    """Return the body as one zstd frame."""
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)


def br(body: bytes) -> bytes:
    """Return the body in brotli."""
    compressed: bytes = brotli.compress(body, quality=BROTLI_QUALITY)
    return compressed


def gzip(body: bytes) -> bytes:
    """Return the body in gzip, without a time, so that every process makes the same bytes."""
    return isal_zlib.compress(body, GZIP_LEVEL, GZIP_WINDOW_BITS)


@dataclass(frozen=True, slots=True)
class Coding:
    """How one content coding is made."""

    whole: Callable[[bytes], bytes]
    stream: Callable[[], Stream]


BY_NAME = {
    "zstd": Coding(zstd, ZstdStream),
    "br": Coding(br, BrotliStream),
    "gzip": Coding(gzip, GzipStream),
}
