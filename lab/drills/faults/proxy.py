"""A TCP proxy in front of what a service depends on, or of its metrics: a fault that needs nothing in the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lab.drills.run.errors import DrillError

CHUNK_BYTES: Final = 65_536

Address = tuple[str, int]
"""Host and port."""


class Proxy:
    """Forwards every connection to the target."""

    def __init__(self, listen: Address, target: Address) -> None:
        self._listen = listen
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.WriteTransport] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Forward during the block; raise `DrillError` if the address cannot be listened on."""
        await self._start()
        try:
            yield
        finally:
            self._stop()

    @asynccontextmanager
    async def injected(self) -> AsyncIterator[None]:
        """Abort open connections and refuse new ones during the block, as a host without the server does."""
        self._stop()
        try:
            yield
        finally:
            await self._start()

    async def _start(self) -> None:
        host, port = self._listen
        try:
            self._server = await asyncio.start_server(self._forward, host, port)
        except OSError as error:
            raise DrillError(f"the proxy cannot listen on {host}:{port}: {error}") from error

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for transport in self._open:
            transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer.transport)
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            self._open.discard(writer.transport)
            return
        self._open.add(back.transport)
        if self._server is None or writer.transport.is_closing():  # stopped while the connection was opened
            writer.transport.abort()
            back.transport.abort()
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            for one in (writer, back):
                self._open.discard(one.transport)
                one.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends, and end the sink; an aborted connection ends both."""
    try:
        while data := await source.read(CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except OSError:
        sink.transport.abort()
