"""Where bodies are compressed: small ones in place, large ones on threads of their own number."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from observability.request.server_timing import add_timing
from service.compression.codings import BY_NAME
from service.compression.meter import CompressionMeter
from service.http.cache_model.entry import Entry

LONGEST_IN_PLACE_S = 0.0005
"""What the event loop may spend on one body: no more than on serialising it before. On a thread, whose caches know
nothing of the body, compressing takes up to twice the CPU."""


class Compressor:
    """Compresses bodies and counts what that takes."""

    def __init__(self, *, meter: CompressionMeter, threads: int = 2) -> None:
        self._meter = meter
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="compress")

    async def whole(self, body: bytes, coding: str) -> bytes:
        """Return the compressed body, or the body itself if that does not make it smaller."""
        compressed, seconds = await self.timed(BY_NAME[coding].whole, body, coding)
        add_timing("compress", seconds)
        if len(compressed) >= len(body):
            self._meter.observe(encoding="identity", before_bytes=len(body), after_bytes=len(body), seconds=seconds)
            return body
        self._meter.observe(encoding=coding, before_bytes=len(body), after_bytes=len(compressed), seconds=seconds)
        return compressed

    async def variant(self, entry: Entry, coding: str) -> bytes:
        """Return the entry's body in this coding, made once however many ask; the body itself if it is not smaller."""
        kept = entry.variants.get(coding)
        if kept is not None:
            encoding = "identity" if kept is entry.body else coding
            self._meter.observe(encoding=encoding, before_bytes=len(entry.body), after_bytes=len(kept), seconds=0.0)
            return kept
        making = entry.making.get(coding)
        if making is None:
            making = entry.making[coding] = asyncio.create_task(self._made(entry, coding))
        return await asyncio.shield(making)

    async def timed(self, compress: Callable[[bytes], bytes], data: bytes, coding: str) -> tuple[bytes, float]:
        """Return what `compress` returns and the seconds it took, on a thread if the coding needs long for so much."""
        if len(data) / 1e6 * BY_NAME[coding].s_per_mb <= LONGEST_IN_PLACE_S:
            return _timed(compress, data)
        return await asyncio.get_running_loop().run_in_executor(self._threads, _timed, compress, data)

    async def _made(self, entry: Entry, coding: str) -> bytes:
        try:
            made = await self.whole(entry.body, coding)
            entry.keep(coding, made)
            return made
        finally:
            del entry.making[coding]


def _timed(compress: Callable[[bytes], bytes], data: bytes) -> tuple[bytes, float]:
    started = perf_counter()
    compressed = compress(data)
    return compressed, perf_counter() - started
