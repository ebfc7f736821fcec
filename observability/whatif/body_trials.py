"""Trials on sampled bodies, in a thread: compressed with each coding, without nulls, and in pages."""

import json
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from queue import Empty, Full, Queue
from threading import Event, Thread
from time import thread_time
from typing import Any, Final

from observability.core.internal_errors import suppress_internal_errors

MIN_BYTES: Final = 1000
"""Smaller bodies fit into one packet, compressed or not."""
MAX_JSON_BYTES: Final = 1_000_000
"""Of a body that is parsed: parsing holds the interpreter lock."""
PAGE_ROWS: Final = (20, 50, 100)
RESERVED_S: Final = 5.0
"""How long a request may take until another one's body is kept."""
DUTY: Final = 0.01
"""The share of a processor that the trials may use."""

ZSTD_LEVEL: Final = 3
BROTLI_QUALITY: Final = 3
GZIP_LEVEL: Final = 5

Compress = Callable[[bytes], bytes]


def codings() -> dict[str, Compress]:
    """Return the content codings whose libraries are installed, at the levels that suit responses; best first."""
    found: dict[str, Compress] = {}
    with suppress(ImportError):
        zstandard: Any = import_module("zstandard")
        found["zstd"] = lambda body: zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    with suppress(ImportError):
        brotli: Any = import_module("brotli")
        found["br"] = lambda body: brotli.compress(body, quality=BROTLI_QUALITY)
    found["gzip"] = lambda body: zlib.compress(body, GZIP_LEVEL, 31)
    return found


@lru_cache(maxsize=256)
def best_coding(accepted: str, offered: tuple[str, ...]) -> str:
    """Return the first of the offered codings that the header accepts, or `identity`."""
    qualities = {}
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        qualities[name.strip()] = parameters.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return next((name for name in offered if qualities.get(name, qualities.get("*", False))), "identity")


@dataclass
class TrialCounts:
    """The trials of one route: the bodies as they are, and what each technique would have made of them."""

    bodies: int = 0
    size_bytes: int = 0
    compressed_bytes: dict[str, int] = field(default_factory=dict)
    compression_s: dict[str, float] = field(default_factory=dict)
    json_bodies: int = 0
    json_bytes: int = 0
    without_nulls_bytes: int = 0
    rows: int = 0
    page_bytes: dict[int, int] = field(default_factory=lambda: dict.fromkeys(PAGE_ROWS, 0))


class BodyTrials:
    """Takes a body when it has time for one; `start()` and `stop()` may be called more than once."""

    def __init__(self, codings: Mapping[str, Compress]) -> None:
        self.codings: Final = codings
        self.counts: dict[str, TrialCounts] = {}
        """By route."""
        self._takes = False
        """Whether the next body is taken."""
        self._queue: Queue[tuple[str, bytes, bool]] = Queue(maxsize=1)
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        self.stop()
        self._stopped = Event()
        self._thread = Thread(target=self._run, args=(self._stopped,), name="observability-whatif", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._takes = False
        self._stopped.set()
        if self._thread is not None:
            with suppress(Full):
                self._queue.put_nowait(("", b"", False))  # wakes the thread
            self._thread.join(timeout=1.0)
        self._thread = None

    def reserve(self) -> bool:
        """Return whether the body of a request that begins is taken; one at a time is kept."""
        takes, self._takes = self._takes, False
        return takes

    def release(self) -> None:
        """Take the body of another request: this one has none that can be tried."""
        self._takes = not self._stopped.is_set()

    def submit(self, handler: str, body: bytes, *, is_json: bool) -> None:
        """Try a body soon, unless another one waits."""
        with suppress(Full):
            self._queue.put_nowait((handler, body, is_json))

    def _run(self, stopped: Event) -> None:
        while not stopped.is_set():
            self._takes = True
            try:
                handler, body, is_json = self._queue.get(timeout=RESERVED_S)
            except Empty:  # a stream without end may have the reservation
                continue
            if stopped.is_set():
                return
            started = thread_time()
            with suppress_internal_errors("whatif"):
                self.try_body(handler, body, is_json=is_json)
            stopped.wait((thread_time() - started) / DUTY)

    def try_body(self, handler: str, body: bytes, *, is_json: bool) -> None:
        """Count what each technique makes of the body."""
        counts = self.counts.setdefault(handler, TrialCounts())
        counts.bodies += 1
        counts.size_bytes += len(body)
        for coding, compress in self.codings.items():
            started = thread_time()
            size_bytes = len(compress(body))
            seconds = thread_time() - started
            counts.compressed_bytes[coding] = counts.compressed_bytes.get(coding, 0) + min(size_bytes, len(body))
            counts.compression_s[coding] = counts.compression_s.get(coding, 0.0) + seconds
        if is_json and len(body) <= MAX_JSON_BYTES:
            with suppress(ValueError, RecursionError):
                self._try_json(counts, json.loads(body), len(body))

    @staticmethod
    def _try_json(counts: TrialCounts, document: Any, size_bytes: int) -> None:
        written = len(_dumped(document))
        scale = size_bytes / written  # the application may write spaces or escapes
        slim = len(_dumped(_without_nulls(document))) * scale
        rows = outermost_rows(document)
        listed = len(_dumped(rows)) if rows else 0
        counts.json_bodies += 1
        counts.json_bytes += size_bytes
        counts.without_nulls_bytes += round(slim)
        counts.rows += len(rows)
        for page in PAGE_ROWS:
            left_out = listed * (1 - page / len(rows)) if len(rows) > page else 0.0
            counts.page_bytes[page] += round((written - left_out) * scale)


def outermost_rows(document: Any) -> list[Any]:
    """Return the outermost list of a document: itself, or the longest list among its members."""
    if isinstance(document, list):
        return document
    members = document.values() if isinstance(document, dict) else ()
    return max((member for member in members if isinstance(member, list)), key=len, default=[])


def _dumped(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _without_nulls(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: _without_nulls(value) for name, value in document.items() if value is not None}
    if isinstance(document, list):
        return [_without_nulls(item) for item in document]
    return document
