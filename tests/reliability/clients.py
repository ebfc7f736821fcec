"""A load generator, open or closed loop, and the outcome of each request."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Final

from lab.core.address import Address
from lab.load.http1 import NO_RESPONSE, Connection, PendingRequest, encode
from tests.servers.requests import DAYS

MAX_CONNECTIONS: Final = 300
MAX_IDLE_S: Final = 3.0
"""Less than the keep-alive timeout of the service, so that it never closes a connection in use."""


@dataclass(frozen=True)
class Outcome:
    """A response, or none: its status, when its request was due since the start, and the latency from then."""

    status: int
    due_s: float
    seconds: float
    retry_after: str


def lists(seed: int) -> Iterator[str]:
    """Yield lists of flights without end, almost never the same twice, so that no cache helps."""
    random = Random(seed)
    while True:
        day, origin = random.choice(DAYS), random.choice(("JFK", "EWR", "LGA"))
        delay = random.randrange(-20, 60)
        yield f"/flights?origin={origin}&date_from={day}&date_to={day}&min_delay_min={delay}&limit=100"


class LoadGenerator:
    """Sends requests to one service over shared connections, as an edge does."""

    def __init__(self, url: str, targets: Iterable[str]) -> None:
        self._address = Address.of(url)
        self._targets = iter(targets) if not isinstance(targets, list) else cycle(targets)
        self._idle: deque[tuple[Connection, float]] = deque()
        """With the time since when they are idle; the last one used is reused first."""
        self._connections = 0
        self._waiting: deque[PendingRequest] = deque()
        self._seen: list[Outcome] = []
        self._pending = 0
        self._closed_until = 0.0
        self._began = 0.0

    async def open_loop(self, rate_per_s: float, *, seconds: float, drain_s: float = 10.0) -> list[Outcome]:
        """Return the outcomes of an open loop: requests at this rate, however the service responds."""
        loop = asyncio.get_running_loop()
        self._begin(loop.time())
        for number in range(round(rate_per_s * seconds)):
            due = self._began + number / rate_per_s
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            elif number % 50 == 0:
                await asyncio.sleep(0)
            self._send(due)
        return await self._drained(drain_s)

    async def closed_loop(self, clients: int, *, seconds: float) -> list[Outcome]:
        """Return the outcomes of a closed loop: each client waits for a response before its next request."""
        loop = asyncio.get_running_loop()
        self._begin(loop.time())
        self._closed_until = loop.time() + seconds
        for _ in range(clients):
            self._send(loop.time())
        await asyncio.sleep(seconds)
        return await self._drained(10)

    def _begin(self, now: float) -> None:
        self._began, self._closed_until, self._seen = now, 0.0, []

    def _send(self, due: float) -> None:
        self._pending += 1
        exchange = PendingRequest(data=encode("GET", self._address, next(self._targets)), intended=due)
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_open and asyncio.get_running_loop().time() - since < MAX_IDLE_S:
                connection.start(exchange)
                return
            connection.close()
            self._connections -= 1
        if self._connections >= MAX_CONNECTIONS:
            self._waiting.append(exchange)
            return
        self._connections += 1
        asyncio.get_running_loop().create_task(self._connect(exchange))

    async def _connect(self, exchange: PendingRequest) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self._finished), self._address.host, self._address.port
            )
        except OSError:
            self._connections -= 1
            self._note(exchange)
            return
        connection.start(exchange)

    def _finished(self, connection: Connection, exchange: PendingRequest) -> None:
        if not connection.is_open:
            self._connections -= 1
        elif self._waiting:
            connection.start(self._waiting.popleft())
        else:
            self._idle.append((connection, asyncio.get_running_loop().time()))
        self._note(exchange)

    def _note(self, exchange: PendingRequest) -> None:
        now = asyncio.get_running_loop().time()
        self._pending -= 1
        retry_after = exchange.headers.get(b"retry-after", b"").decode("latin-1")
        self._seen.append(
            Outcome(exchange.status, exchange.intended - self._began, now - exchange.intended, retry_after)
        )
        if now < self._closed_until:
            self._send(now)

    async def _drained(self, seconds: float) -> list[Outcome]:
        deadline = asyncio.get_running_loop().time() + seconds
        while self._pending and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 polled once per run
            await asyncio.sleep(0.02)
        self._seen += [Outcome(NO_RESPONSE, 0.0, seconds, "") for _ in range(self._pending)]
        self._pending = 0
        while self._idle:
            self._idle.pop()[0].close()
            self._connections -= 1
        return self._seen


def statuses(seen: Iterable[Outcome]) -> Counter[int]:
    """Return the number of outcomes by status; 0 is no response."""
    return Counter(one.status for one in seen)


def quantile_s(seen: Iterable[Outcome], share: float) -> float:
    """Return the latency quantile."""
    times = sorted(one.seconds for one in seen)
    return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0
