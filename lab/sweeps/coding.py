"""The content codings and levels of the sweep, and their CPU time."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from time import process_time
from typing import Final

import brotli  # type: ignore[import-untyped]  # ships no types
import zstandard
from zlib_ng import zlib_ng

ROUNDS: Final = 7
ROUND_BYTES: Final = 400_000
"""Bytes of each body per round, so that small bodies are timed as precisely as large ones."""

Compress = Callable[[bytes], bytes]


def _zstd(level: int) -> Compress:
    return zstandard.ZstdCompressor(level=level).compress


def _brotli(level: int) -> Compress:
    return partial(brotli.compress, quality=level)


def _zlib(level: int) -> Compress:
    return partial(zlib.compress, level=level, wbits=31)


def _zlib_ng(level: int) -> Compress:
    return partial(zlib_ng.compress, level=level, wbits=31)


CODINGS: Final[Mapping[str, tuple[Callable[[int], Compress], Sequence[int]]]] = {
    "zstd": (_zstd, (1, 2, 3, 5, 7, 9, 12)),
    "br": (_brotli, (1, 2, 3, 4, 5, 7, 9)),
    "gzip by zlib": (_zlib, (1, 4, 6, 9)),
    "gzip by zlib-ng": (_zlib_ng, (1, 3, 5, 6, 9)),
}


def cpu_s(compress: Compress, body: bytes) -> float:
    """Return the CPU seconds for compressing the body once, median of the rounds."""
    times = max(1, ROUND_BYTES // len(body))
    rounds = []
    for _ in range(ROUNDS):
        started = process_time()
        for _ in range(times):
            compress(body)
        rounds.append((process_time() - started) / times)
    return median(rounds)
