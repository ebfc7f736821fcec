"""A TCP proxy in front of what a service depends on, or of its metrics: a fault that needs nothing in the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lab.drills.run.errors import DrillError

CHUNK_BYTES: Final = 65_536
STEPS: Final = 5
"""Of the loop, until a connection that it has accepted reaches `_accept` and is ended there."""

Address = tuple[str, int]
"""Host and port."""


class Proxy:
    """Forwards every connection to the target."""

    def __init__(self, listen: Address, target: Address) -> None:
        self._listen = listen
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.WriteTransport] = set()
        self._forwarding: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Forward during the block; raise `DrillError` if the address cannot be listened on."""
        await self._start()
        try:
            yield
        finally:
            await self._stop()

    @asynccontextmanager
    async def injected(self) -> AsyncIterator[None]:
        """Abort open connections and refuse new ones during the block, as a host without the server does."""
        await self._stop()
        try:
            yield
        finally:
            await self._start()

    async def _start(self) -> None:
        host, port = self._listen
        try:
            self._server = await asyncio.start_server(self._accept, host, port)
        except OSError as error:
            raise DrillError(f"the proxy cannot listen on {host}:{port}: {error}") from error

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            # Python 3.11 leaks a connection that is accepted in the step of the loop in which its server is closed.
            loop = asyncio.get_running_loop()
            for listening in server.sockets:
                loop.remove_reader(listening.fileno())
            for _ in range(STEPS):
                await asyncio.sleep(0)
            server.close()
        for transport in self._open:
            transport.abort()
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)
        self._open.clear()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward in a task; the connection is known at once, so that it is closed even if that never begins."""
        if self._server is None:  # stopped before the connection was accepted
            writer.transport.abort()
            return
        self._open.add(writer.transport)
        task = asyncio.create_task(self._forward(reader, writer))
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            there, back = await asyncio.open_connection(*self._target)
            ends.append(back)
            self._open.add(back.transport)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        except OSError:
            writer.transport.abort()
        finally:
            for end in ends:
                self._open.discard(end.transport)
                end.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends, and end the sink; an aborted connection ends both."""
    try:
        while data := await source.read(CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except OSError:
        sink.transport.abort()
