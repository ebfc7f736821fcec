"""The whole embedded stack under traffic: arms, worker, upstream, a third-party application, a real Prometheus.

Prometheus outlives the traffic, so that all queries are evaluated at the same time.
"""

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import httpx

from lab.arms.ports import free_ports
from lab.drills.environments.monitoring import RULES, Monitoring
from lab.drills.run.process import Process
from tests.servers.arms import JOBS, Arms
from tests.servers.otlp import collecting
from tests.servers.requests import BOOKSHOP_REQUESTS, EXPORT, PlannedRequest, reads, update

ROOT: Final = Path(__file__).parents[2]
BOOKSHOP_JOB: Final = "bookshop"
BOOKSHOP_COMMAND: Final = (
    *(sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT), "--log-level", "warning"),
    *("--factory", "examples.bookshop:create_app"),
)
DOWN_JOB: Final = "down"
"""Of a target on which nothing listens, so that an alert fires."""

PAUSE_S: Final = 0.05
"""Between two requests to the same process."""

ROUNDS: Final = 5
"""Minimum per arm, however slow the machine is: by then every kind of response was sent."""

SETTLE_S: Final = 2.0
"""After the traffic, until its end has been scraped and recorded."""

SMALL_POOL: Final = {"POOL_SIZE": "2", "POOL_MAX_OVERFLOW": "0", "POOL_TIMEOUT_S": "0.01"}
"""Small enough that requests queue for connections; an export needs two: it renews its lease while it reads."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A Prometheus that has seen the traffic."""

    prometheus_url: str
    begun: float
    ended: float
    """When the traffic ended, in seconds since 1970."""
    expositions: tuple[str, ...] = field(repr=False)
    """The metrics of each scraped process at that time."""
    trace_ids: frozenset[str] = field(repr=False)
    """Of the traces that reached the collector."""


def bookshop(data_dir: Path, collector: str = "") -> tuple[str, str, Process]:
    """Return the URL of the third-party application, the address of its metrics, and its process."""
    port, metrics_port = free_ports(2)
    url = f"http://127.0.0.1:{port}"
    process = Process(
        "the bookshop",
        [*BOOKSHOP_COMMAND, "--port", str(port)],
        ready_url=f"{url}/books/1",
        environment={
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(metrics_port),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            "OBSERVABILITY_ACCESS_LOG": "false",
        },
        directory=data_dir,
    )
    return url, f"127.0.0.1:{metrics_port}", process


class MixedTraffic:
    """Sends requests of every kind to every process until the time is over, and every arm has had its rounds.

    All processes get requests to the end, so that queries that compare them have data of the same time.
    """

    def __init__(
        self,
        arms: Iterable[str],
        shop: str,
        *,
        seconds: float,
        pause_s: float,
        bookshop_requests: Sequence[PlannedRequest] = BOOKSHOP_REQUESTS,
    ) -> None:
        self._arms = tuple(arms)
        self._unfinished = set(self._arms)
        self._shop = shop
        self._bookshop_requests = bookshop_requests
        self._deadline = time.monotonic() + seconds
        self._pause_s = pause_s

    async def run(self) -> None:
        """Send requests to all processes at the same time."""
        async with asyncio.TaskGroup() as group:
            for url in self._arms:
                group.create_task(self._send_to_arm(url))
            group.create_task(self._send_to_bookshop())

    async def _send_to_arm(self, url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            flights = (await client.get("/flights?date_from=2013-07-01&date_to=2013-07-01&limit=40")).json()["items"]
            number = 0
            while self._is_under_way:
                flight_id = flights[number % len(flights)]["id"]
                for request in (
                    *reads(number),
                    PlannedRequest(path=f"/flights/{flight_id}"),
                    update(flight_id, number),
                ):
                    await self._send(client, request)
                if number % 2 == 0:
                    await self._send(client, EXPORT)
                number += 1
                if number >= ROUNDS:
                    self._unfinished.discard(url)

    @property
    def _is_under_way(self) -> bool:
        return bool(self._unfinished) or time.monotonic() < self._deadline

    async def _send_to_bookshop(self) -> None:
        async with httpx.AsyncClient(base_url=self._shop, timeout=60) as client:
            while self._is_under_way:
                for request in self._bookshop_requests:
                    await self._send(client, request)

    async def _send(self, client: httpx.AsyncClient, request: PlannedRequest) -> None:
        await asyncio.gather(*(self._request(client, request) for _ in range(request.concurrency)))
        await asyncio.sleep(self._pause_s)

    @staticmethod
    async def _request(client: httpx.AsyncClient, request: PlannedRequest) -> None:
        with suppress(httpx.HTTPError):  # rejections are intended
            await client.request(request.method, request.path, json=request.body, headers=request.headers)


async def _expositions(prometheus_url: str) -> tuple[str, ...]:
    """Return the metrics of every target that Prometheus reaches."""
    async with httpx.AsyncClient(timeout=60) as client:
        targets = (await client.get(f"{prometheus_url}/api/v1/targets")).json()["data"]["activeTargets"]
        reached = [target["scrapeUrl"] for target in targets if target["health"] == "up"]
        return tuple([(await client.get(url)).text for url in reached])


@contextmanager
def running_stack(
    directory: Path, data_dir: Path, *, seconds: float, pause_s: float = PAUSE_S, rules: Path = RULES
) -> Iterator[Stack]:
    """Run the traffic, end everything but Prometheus and its companions, and yield what Prometheus has seen."""
    with collecting() as collector, asyncio.Runner() as runner:
        monitoring = Monitoring(directory, drill="stack", jobs=(*JOBS, BOOKSHOP_JOB, DOWN_JOB), rules=rules)
        arms = Arms(
            monitoring,
            data_dir,
            data_dir_of=lambda _: data_dir,
            settings_of={
                "pooling": SMALL_POOL,
                "baseline": {"OBSERVABILITY_WHATIF": "true", "OBSERVABILITY_WHATIF_EXPLAIN": "true"},
            },
            collector=collector.endpoint,
        )
        shop_url, shop_metrics, shop = bookshop(data_dir, collector.endpoint)
        monitoring.write_configuration()
        monitoring.set_targets(BOOKSHOP_JOB, [shop_metrics])
        monitoring.set_targets(DOWN_JOB, ["127.0.0.1:9"])

        async def under_traffic() -> Stack:
            await asyncio.gather(monitoring.start(), arms.start(shop))
            begun = time.time()
            await MixedTraffic(arms.urls.values(), shop_url, seconds=seconds, pause_s=pause_s).run()
            ended = time.time()
            await asyncio.sleep(SETTLE_S)
            return Stack(
                prometheus_url=monitoring.prometheus_url,
                begun=begun,
                ended=ended,
                expositions=await _expositions(monitoring.prometheus_url),
                trace_ids=frozenset(),
            )

        try:
            try:
                stack = runner.run(under_traffic())
            finally:
                runner.run(arms.stop())  # which exports what is left
            yield replace(stack, trace_ids=frozenset(span.trace_id for span in collector.spans))
        finally:
            runner.run(monitoring.stop())
