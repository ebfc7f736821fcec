"""The proxy that adds distance: how long bytes take, and that they stay what they are."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest

from lab.arms.arms import Arm
from lab.arms.delay_proxy import RESET_ON_CLOSE, Direction, ProxiedServer, listen
from lab.arms.distance import RemoteServer, at_distance
from lab.arms.ports import free_ports
from lab.core.errors import BadSetting, NoDistance
from lab.experiments import BY_NAME
from lab.measure.plan import QUICK
from lab.run import Comparison, RunOptions, started_arms

ROUND_TRIP_S = 0.02
DEADLINE_S = 60.0
LARGE = Random(1).randbytes(4_000_000)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[int]:
    """Yield the port of a server whose handlers end with the block."""
    handling: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.append(task)
        await handler(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield server.sockets[0].getsockname()[1]
            await asyncio.gather(*handling)
    finally:
        server.close()


@asynccontextmanager
async def proxied(handler: Handler) -> AsyncIterator[int]:
    """Yield the port at which a proxy serves the handler."""
    async with served(handler) as port:
        proxy = await listen(ProxiedServer("127.0.0.1", port), round_trip_s=ROUND_TRIP_S)
        try:
            yield proxy.sockets[0].getsockname()[1]
        finally:
            proxy.close()


async def echo_times(port: int) -> list[float]:
    """Return how long a new connection takes for its first and for its second echo."""
    loop = asyncio.get_running_loop()
    times = [loop.time()]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(b"x")
        await reader.readexactly(1)
        times.append(loop.time())
    writer.write_eof()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    return [after - before for before, after in pairwise(times)]


def test_an_echo_takes_the_round_trip_and_a_new_connection_takes_one_more() -> None:
    async def run() -> list[float]:
        async with proxied(echo) as port:
            return await echo_times(port)

    first, second = asyncio.run(run())
    assert first >= 2 * ROUND_TRIP_S
    assert second >= ROUND_TRIP_S


class FakeClock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> None:
        self.timers.append((when, callback))

    def advance(self, to: float) -> None:
        while due := [timer for timer in self.timers if timer[0] <= to]:
            timer = min(due, key=lambda each: each[0])
            self.timers.remove(timer)
            self.now = max(self.now, timer[0])
            timer[1]()
        self.now = to


def test_each_piece_arrives_a_delay_after_it_was_sent_however_many_are_under_way() -> None:
    clock = FakeClock()
    arrived: list[tuple[float, float]] = []

    def arrive(sent_at: float) -> None:
        arrived.append((sent_at, clock.now))

    direction = Direction(clock, 0.5, opens_at=1.0)
    for sent_at in (0.0, 0.2, 2.0, 2.1, 2.2):
        clock.advance(sent_at)
        direction.send(partial(arrive, sent_at))
    clock.advance(10.0)
    assert [sent_at for sent_at, _ in arrived] == [0.0, 0.2, 2.0, 2.1, 2.2]
    assert [at for _, at in arrived] == pytest.approx([1.5, 1.5, 2.5, 2.6, 2.7])


def test_a_large_transfer_is_unchanged_and_a_half_closed_connection_still_carries_the_response() -> None:
    async def reverse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read())[::-1])
        await writer.drain()
        writer.close()

    async def run() -> bytes:
        async with proxied(reverse) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(LARGE)
            writer.write_eof()
            received = await reader.read()
            writer.close()
            await writer.wait_closed()
            return received

    assert asyncio.run(run()) == LARGE[::-1]


def test_a_server_may_speak_first_and_end_first() -> None:
    received = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.write_eof()
        received.append(await reader.read())
        writer.close()

    async def run() -> bytes:
        async with proxied(greet) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            greeting = await reader.read()
            writer.write(LARGE)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            return greeting

    assert asyncio.run(run()) == b"hello"
    assert received == [LARGE]


def test_the_server_sees_the_reset_of_a_client_that_ends_without_a_goodbye() -> None:
    seen: list[Exception] = []

    async def run() -> None:
        has_data = asyncio.Event()

        async def expect_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(1)
            has_data.set()
            try:
                await reader.read()
            except ConnectionError as error:
                seen.append(error)
            writer.close()

        async with proxied(expect_more) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            await has_data.wait()
            own = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()

    asyncio.run(run())
    assert [type(error) for error in seen] == [ConnectionResetError]


def test_a_connection_to_a_server_that_is_down_is_reset_after_the_round_trip() -> None:
    async def run() -> float:
        (closed,) = free_ports(1)
        proxy = await listen(ProxiedServer("127.0.0.1", closed), round_trip_s=ROUND_TRIP_S)
        loop = asyncio.get_running_loop()
        started = loop.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.sockets[0].getsockname()[1])
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(ConnectionResetError):
                await reader.read()
        taken = loop.time() - started
        writer.close()
        proxy.close()
        return taken

    assert asyncio.run(run()) >= ROUND_TRIP_S


def test_arms_reach_their_servers_through_the_proxy_which_ends_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def not_started(arms: Sequence[Arm]) -> AsyncIterator[Sequence[Arm]]:
        try:
            yield arms
        finally:
            await asyncio.gather(*(arm.stop() for arm in arms))

    monkeypatch.setattr("lab.run.running", not_started)
    comparison = Comparison(experiment=BY_NAME["pooling"], sides={"off": frozenset(), "on": frozenset({"pooling"})})
    options = RunOptions(data_dir=Path(), command="", plan=QUICK, distance_s=ROUND_TRIP_S)

    async def run() -> list[float]:
        async with served(echo) as port:
            monkeypatch.setenv("REDIS_URL", f"redis://:secret@127.0.0.1:{port}/0")
            monkeypatch.delenv("DATABASE_URL", raising=False)
            async with started_arms(comparison, options) as started:
                off, on = (arm.spec.settings["REDIS_URL"] for arm in started.arms if isinstance(arm, Arm))
                assert off == on
                parts = urlsplit(off)
                assert (parts.password, parts.hostname, parts.path) == ("secret", "127.0.0.1", "/0")
                assert parts.port is not None
                assert parts.port != port
                times = await echo_times(parts.port)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", parts.port)
            return times

    first, second = asyncio.run(run())
    assert first >= 2 * ROUND_TRIP_S
    assert second >= ROUND_TRIP_S


@pytest.mark.parametrize(
    ("url", "address", "through"),
    [
        (
            "postgresql+asyncpg://user:p%40ss@db.example/flights?ssl=require",
            ("db.example", 5432),
            "postgresql+asyncpg://user:p%40ss@127.0.0.1:9/flights?ssl=require",
        ),
        ("redis://redis", ("redis", 6379), "redis://127.0.0.1:9"),
        ("amqp://guest:guest@mq.example:5673//", ("mq.example", 5673), "amqp://guest:guest@127.0.0.1:9//"),
        ("http://[::1]:8090", ("::1", 8090), "http://127.0.0.1:9"),
    ],
)
def test_a_url_keeps_everything_but_its_host(url: str, address: tuple[str, int], through: str) -> None:
    server = RemoteServer.of("A_URL", url)
    assert server is not None
    assert (server.host, server.port) == address
    assert server.through(9) == through
    assert ProxiedServer.of(f"9={server.host}:{server.port}") == ProxiedServer(*address, 9)


@pytest.mark.parametrize("url", ["", "sqlite+aiosqlite:///flights.db", "filesystem://", "unix:///run/redis.sock"])
def test_a_file_has_no_distance(url: str) -> None:
    assert RemoteServer.of("A_URL", url) is None


@pytest.mark.parametrize(
    "url",
    [
        "rediss://:secret@cache.example:6380",
        "postgresql://user:secret@db.example/flights?ssl=verify-full",
        "postgresql://user:secret@one.example:1,two.example:2/flights",
        "postgresql://user:secret@one.example,two.example/flights",
        "postgresql:///flights?password=secret",
    ],
)
def test_a_server_that_a_proxy_cannot_stand_for_is_rejected_without_its_password(url: str) -> None:
    with pytest.raises(BadSetting, match="A_URL: ") as caught:
        RemoteServer.of("A_URL", url)
    assert "secret" not in str(caught.value)


def test_without_a_server_there_is_no_distance() -> None:
    async def run() -> None:
        async with at_distance(ROUND_TRIP_S, {"DATABASE_URL": "sqlite+aiosqlite:///flights.db"}):
            pytest.fail("nothing is at a distance")

    with pytest.raises(NoDistance, match="over the network"):
        asyncio.run(run())
