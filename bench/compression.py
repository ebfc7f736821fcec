"""The service's compression middleware compared with Starlette's, and the curves behind its levels.

The bodies are the service's own. CPU time of all threads is measured, so other programs have little influence; every
ratio is a median over alternating rounds.
"""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import process_time
from typing import Final

import httpx
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.cached_board import PATH, QUERY, UNINSTRUMENTED
from observability.cache.compression import CompressionMetrics
from observability.saturation.threads import ThreadMetrics
from service.app import create_app
from service.compression import codings
from service.compression.middleware import CompressionMiddleware
from service.settings import Settings

REQUESTS: Final = {
    "departure board": f"{PATH}?{QUERY}",
    "delay report": "/reports/delays?by=destination",
    "page of flights": "/flights?limit=100",
}
ROUNDS: Final = 9
BYTES_PER_ROUND: Final = 5_000_000
BYTES_PER_ROUND_OF_CURVE: Final = 1_000_000

GOALS: Final = {"zstd": 8.0, "gzip": 4.0}
"""Starlette's CPU time divided by ours, for clients that accept zstd or only gzip."""

MOST_BYTES: Final = 1.12
"""As a share of what Starlette's default sends."""

CURVE: Final[dict[str, tuple[Callable[[bytes, int], bytes], int, range]]] = {
    "zstd": (codings.zstd, codings.ZSTD_LEVEL, range(1, 8)),
    "br": (codings.br, codings.BROTLI_QUALITY, range(2, 7)),
    "gzip": (codings.gzip, codings.GZIP_LEVEL, range(1, 8)),
}


def bodies(data_dir: Path) -> dict[str, bytes]:
    """Return the uncompressed bodies by name, of a service without caching and sparse responses."""

    async def fetched() -> dict[str, bytes]:
        settings = Settings.model_validate({"techniques": frozenset({"indexes", "pagination"}), "data_dir": data_dir})
        app = create_app(settings, telemetry=UNINSTRUMENTED)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=60) as client,
        ):
            return {name: (await client.get(path)).raise_for_status().content for name, path in REQUESTS.items()}

    return asyncio.run(fetched())


@dataclass
class Subject:
    """One way to compress one body, with its CPU seconds per megabyte by round."""

    title: str
    body: bytes
    compressed: Callable[[int], bytes]
    """Compresses the body this many times and returns the last result."""
    bytes_per_round: int = BYTES_PER_ROUND
    seconds: list[float] = field(default_factory=list)

    def round(self) -> None:
        """Compress about `bytes_per_round`."""
        times = max(1, self.bytes_per_round // len(self.body))
        began = process_time()
        self.compressed(times)
        self.seconds.append((process_time() - began) / (times * len(self.body) / 1e6))

    def cells(self, reference: "Subject") -> tuple[str, ...]:
        """Return the table row, compared with the reference."""
        less = median(theirs / ours for theirs, ours in zip(reference.seconds, self.seconds, strict=True))
        size, reference_size = (len(one.compressed(1)) for one in (self, reference))
        milliseconds, more = median(self.seconds) * 1e3, size / reference_size - 1
        return (self.title, f"{milliseconds:.2f}", f"{less:.1f}", f"{len(self.body) / size:.2f}", f"{more:+.1%}")


def sending(body: bytes) -> ASGIApp:
    """Return an application that responds with the body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(body, media_type="application/json")(scope, receive, send)

    return app


def through(app: ASGIApp, coding: str, runner: asyncio.Runner) -> Callable[[int], bytes]:
    """Return a function that sends so many requests to the application and returns the last body."""

    async def request(times: int) -> bytes:
        parts: list[bytes] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            parts.append(message.get("body", b""))

        headers = [(b"accept-encoding", coding.encode())]
        for _ in range(times):
            parts.clear()
            await app({"type": "http", "method": "GET", "path": "/", "headers": headers}, receive, send)
        return b"".join(parts)

    return lambda times: runner.run(request(times))


def main(data_dir: Path, console: Console) -> bool:
    """Print the tables; return whether the goals are met."""
    registry = CollectorRegistry()
    meter = CompressionMetrics(registry)
    threads = ThreadMetrics(registry).thread_pool("compress", threads=2)
    theirs: list[Subject] = []
    ours: dict[str, list[Subject]] = {coding: [] for coding in CURVE}
    with asyncio.Runner() as runner:
        for name, body in bodies(data_dir).items():
            compressed = CompressionMiddleware(sending(body), meter=meter, threads=threads)
            starlette = Subject("Starlette's default", body, through(GZipMiddleware(sending(body)), "gzip", runner))
            ways = {coding: Subject(f"ours: {coding}", body, through(compressed, coding, runner)) for coding in CURVE}
            zlib_9 = Subject("zlib 9", body, repeated(_zlib, body, 9), BYTES_PER_ROUND_OF_CURVE)
            curve = [_at_level(coding, level, body) for coding, (_, _, levels) in CURVE.items() for level in levels]
            for _ in range(ROUNDS):
                for subject in (starlette, *ways.values(), zlib_9, *curve):
                    subject.round()
            console.print(
                _table(f"{name}, {len(body):,} bytes, through the middleware", starlette, list(ways.values()))
            )
            console.print(_table(f"{name}: the curve; * is used", zlib_9, curve))
            theirs.append(starlette)
            for coding, subject in ways.items():
                ours[coding].append(subject)
        verdicts = [_verdict(console, coding, ours[coding], theirs) for coding in GOALS]
    return all(verdicts)


def repeated(compress: Callable[[bytes, int], bytes], body: bytes, level: int) -> Callable[[int], bytes]:
    """Return a function that compresses the body this many times and returns the last result."""

    def compressed(times: int) -> bytes:
        result = b""
        for _ in range(times):
            result = compress(body, level)
        return result

    return compressed


def _zlib(body: bytes, level: int) -> bytes:
    return zlib.compress(body, level, wbits=31)


def _at_level(coding: str, level: int, body: bytes) -> Subject:
    compress, chosen, _ = CURVE[coding]
    return Subject(
        f"{coding} {level}{' *' if level == chosen else ''}",
        body,
        repeated(compress, body, level),
        BYTES_PER_ROUND_OF_CURVE,
    )


def _table(title: str, reference: Subject, subjects: Sequence[Subject]) -> Table:
    table = Table(title=title)
    for column in ("", "CPU ms per MB", "times less", "to one", "bytes"):
        table.add_column(column, justify="right" if column else "left")
    for subject in (reference, *subjects):
        table.add_row(*subject.cells(reference))
    return table


def _verdict(console: Console, coding: str, ours: Sequence[Subject], theirs: Sequence[Subject]) -> bool:
    """Print the CPU time and bytes of a coding over all bodies, and whether they meet the goals."""
    less = sum(median(one.seconds) * len(one.body) for one in theirs) / sum(
        median(one.seconds) * len(one.body) for one in ours
    )
    more = sum(len(one.compressed(1)) for one in ours) / sum(len(one.compressed(1)) for one in theirs)
    is_met = less >= GOALS[coding] and more <= MOST_BYTES
    console.print(
        f"{coding}: {less:.1f} times less CPU, {more - 1:+.1%} bytes; goal {GOALS[coding]:.0f} times less, "
        f"at most {MOST_BYTES - 1:+.0%}: {'met' if is_met else 'missed'}"
    )
    return is_met
