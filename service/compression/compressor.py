"""Compresses bodies: small ones on the event loop, large ones in a thread pool."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from observability.request.server_timing import add_timing
from observability.saturation.threads import InstrumentedThreadPool
from service.compression.codings import BY_NAME
from service.compression.metrics import CompressionMeter
from service.http.cache_model.entry import Entry

MAX_LOOP_S = 0.0005
"""The longest compression on the event loop, about as long as serialising the body took. A thread starts with cold CPU
caches and takes up to twice the CPU."""


class Compressor:
    """Compresses bodies and records them."""

    def __init__(self, *, meter: CompressionMeter, threads: InstrumentedThreadPool) -> None:
        self._meter = meter
        self._threads = threads

    async def compress(self, body: bytes, coding: str) -> bytes:
        """Return the compressed body, or the body itself if that is not smaller."""
        compressed, seconds = await self.timed(BY_NAME[coding].whole, body, coding)
        add_timing("compress", seconds)
        if len(compressed) >= len(body):
            self._meter.observe(encoding="identity", before_bytes=len(body), after_bytes=len(body), seconds=seconds)
            return body
        self._meter.observe(encoding=coding, before_bytes=len(body), after_bytes=len(compressed), seconds=seconds)
        return compressed

    async def variant(self, entry: Entry, coding: str) -> bytes:
        """Return the entry's body in this coding, compressed once for all requests, or the body if it is smaller."""
        variant = entry.variants.get(coding)
        if variant is not None:
            encoding = "identity" if variant is entry.body else coding
            self._meter.observe(encoding=encoding, before_bytes=len(entry.body), after_bytes=len(variant), seconds=0.0)
            return variant
        pending = entry.pending_variants.get(coding)
        if pending is None:
            pending = entry.pending_variants[coding] = asyncio.create_task(self._add_variant(entry, coding))
        return await asyncio.shield(pending)

    async def timed(self, compress: Callable[[bytes], bytes], data: bytes, coding: str) -> tuple[bytes, float]:
        """Return what `compress` returns and its seconds; it runs in a thread if it is expected to take long."""
        if len(data) / 1e6 * BY_NAME[coding].s_per_mb <= MAX_LOOP_S:
            return _timed(compress, data)
        return await self._threads.run(_timed, compress, data)

    async def _add_variant(self, entry: Entry, coding: str) -> bytes:
        try:
            variant = await self.compress(entry.body, coding)
            entry.add_variant(coding, variant)
            return variant
        finally:
            del entry.pending_variants[coding]


def _timed(compress: Callable[[bytes], bytes], data: bytes) -> tuple[bytes, float]:
    started = perf_counter()
    compressed = compress(data)
    return compressed, perf_counter() - started
