"""A TCP proxy that adds distance: every byte arrives half of the round-trip time later, in each direction.

    python -m lab.arms.delay_proxy --round-trip-s 0.001 15432=db.example:5432 [PORT=HOST:PORT...]

Each piece of data has its own time of arrival, as on a long line: a transfer of many pieces takes the delay once, and
throughput has no limit. A connection costs one round trip more. The client's connect itself returns at once, because
the proxy is near; the round trip is added to what it sends first.

Toxiproxy has such a latency, but is a Go program, and the lab runs from a wheel.
"""

import argparse
import asyncio
import resource
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from selectors import SelectSelector
from typing import Final, Protocol, Self, cast

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: a close sends a reset, so that half a response does not look like a whole one."""

LOOPBACK: Final = "127.0.0.1"

SELECTABLE: Final = 1024
"""Sockets that select(2) can wait for; a connection beyond them waits until one is free."""


class Clock(Protocol):
    """The part of an event loop that has to do with time."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> object: ...


class Direction:
    """What is on its way from one end of a connection to the other."""

    def __init__(self, clock: Clock, delay_s: float, *, opens_at: float) -> None:
        """What is sent before `opens_at` starts then."""
        self._clock = clock
        self._delay_s = delay_s
        self._opens_at = opens_at
        self._under_way: deque[tuple[float, Callable[[], None]]] = deque()

    def send(self, arrive: Callable[[], None]) -> None:
        """Call `arrive` after the delay, and after everything that was sent before."""
        due = max(self._clock.time(), self._opens_at) + self._delay_s
        self._under_way.append((due, arrive))
        if len(self._under_way) == 1:
            self._clock.call_at(due, self._arrive)

    def _arrive(self) -> None:
        while self._under_way and self._under_way[0][0] <= self._clock.time():
            _, arrive = self._under_way[0]
            arrive()
            self._under_way.popleft()
        if self._under_way:
            self._clock.call_at(self._under_way[0][0], self._arrive)


class End(asyncio.Protocol):
    """One of the two sockets of a proxied connection."""

    other: "End"

    def __init__(self, outgoing: Direction) -> None:
        """`outgoing` carries what this socket sends."""
        self._outgoing = outgoing
        self._transport: asyncio.Transport | None = None
        self._has_received_eof = False
        self._has_sent_eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._outgoing.send(partial(self.other.write, data))

    def eof_received(self) -> bool:
        """Pass on a half-close; the other direction stays open."""
        if not self._has_received_eof:
            self._has_received_eof = True
            self._outgoing.send(self.other.write_eof)
            self._close_if_over()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._outgoing.send(self.other.abort)

    def pause_writing(self) -> None:
        """Read no more at the other end than this one can take."""
        self.other.pause_reading()

    def resume_writing(self) -> None:
        self.other.resume_reading()

    def pause_reading(self) -> None:
        if self._transport is not None and not self._has_received_eof:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._has_received_eof:
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        self._has_sent_eof = True
        if self._transport is not None and not self._transport.is_closing():
            with suppress(OSError):  # it was reset, which `connection_lost` is about to report
                self._transport.write_eof()
        self._close_if_over()

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is None:
            return
        own = self._transport.get_extra_info("socket")
        with suppress(OSError):  # already closed
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._transport.abort()

    def _close_if_over(self) -> None:
        if self._has_received_eof and self._has_sent_eof and self._transport is not None:
            self._transport.close()  # after what is still to be written


class ClientEnd(End):
    """The socket of a client, which connects the other one to the server."""

    def __init__(self, server: "ProxiedServer", delay_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._opens_at = self._loop.time() + 2 * delay_s
        super().__init__(Direction(self._loop, delay_s, opens_at=self._opens_at))
        self._server = server
        # The server has the connection when the client's acknowledgement arrives.
        self.other = End(Direction(self._loop, delay_s, opens_at=self._opens_at + delay_s))
        self.other.other = self
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.pause_reading()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self._loop.create_connection(lambda: self.other, self._server.host, self._server.port)
        except OSError:
            self._loop.call_at(self._opens_at, self.abort)
        else:
            self.resume_reading()


@dataclass(frozen=True, slots=True)
class ProxiedServer:
    """A server, and the port at which the proxy serves it; 0: a free one."""

    host: str
    port: int
    at: int = 0

    def __str__(self) -> str:
        return f"{self.at}={self.host}:{self.port}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Parse `PORT=HOST:PORT`; raise `ValueError` for anything else."""
        at, _, address = text.partition("=")
        host, _, port = address.rpartition(":")
        return cls(host, int(port), int(at))


async def listen(server: ProxiedServer, *, round_trip_s: float, host: str = LOOPBACK) -> asyncio.Server:
    """Return the proxy of a server, which serves until it is closed."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(partial(ClientEnd, server, round_trip_s / 2), host, server.at)


async def serve(servers: Sequence[ProxiedServer], *, round_trip_s: float, host: str) -> None:
    listening = [await listen(server, round_trip_s=round_trip_s, host=host) for server in servers]
    await asyncio.gather(*(each.serve_forever() for each in listening))


def event_loop() -> asyncio.SelectorEventLoop:
    """Return a loop that waits in microseconds: epoll, and uvloop, round every wait up to a millisecond."""
    return asyncio.SelectorEventLoop(SelectSelector())


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="lab.arms.delay_proxy", description=__doc__)
    parser.add_argument("--round-trip-s", type=float, required=True)
    parser.add_argument("--host", default=LOOPBACK, help="address that the proxy listens on")
    parser.add_argument("servers", nargs="+", type=ProxiedServer.of, metavar="PORT=HOST:PORT")
    options = parser.parse_args(arguments)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SELECTABLE, hard))
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(serve(options.servers, round_trip_s=options.round_trip_s, host=options.host))


if __name__ == "__main__":
    main(sys.argv[1:])
