"""A TCP proxy between a client and a server that injects network faults."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

CHUNK_BYTES = 16_384


@dataclass
class Proxy:
    """The port for clients and the injected faults; every method may be called from any thread."""

    target_port: int
    port: int = 0
    delay_s: float = 0.0
    response_bytes_left: int | None = None
    """Bytes of responses still to forward; at zero connections are aborted. None is no limit."""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Refuse new connections and abort open ones, like a host without the server."""
        self._run(self._stop_listening())

    def pause(self) -> None:
        """Forward nothing; connections stay open, and new ones are accepted and not connected."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def slow(self, delay_s: float) -> None:
        """Delay every chunk of data in both directions."""
        self.delay_s = delay_s

    def cut(self, after_bytes: int) -> None:
        """Abort connections in the middle of a response, after this many bytes of responses."""
        self.response_bytes_left = after_bytes

    def restore(self) -> None:
        """End every fault."""
        self.delay_s, self.response_bytes_left = 0.0, None
        self._run(self._listen())
        self._loop.call_soon_threadsafe(self._flowing.set)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._abort_all()

    def _abort_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._flowing.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            return
        both = {writer, back}
        self._open |= both
        try:
            requests = asyncio.create_task(self._pump(reader, back, is_response=False))
            responses = asyncio.create_task(self._pump(there, writer, is_response=True))
            await asyncio.wait({requests, responses}, return_when=asyncio.FIRST_COMPLETED)
            for task in (requests, responses):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await task
        finally:
            self._open -= both
            for one in both:
                one.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_response: bool) -> None:
        while data := await source.read(CHUNK_BYTES):
            await self._flowing.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if is_response and self.response_bytes_left is not None:
                data, is_cut = data[: self.response_bytes_left], len(data) >= self.response_bytes_left
                self.response_bytes_left -= len(data)
                sink.write(data)
                if is_cut:
                    await sink.drain()
                    self.response_bytes_left = 0
                    sink.transport.abort()
                    return
            else:
                sink.write(data)
            await sink.drain()

    def serve_forever(self, is_ready: threading.Event) -> None:
        """Forward until `end`; runs in a thread."""
        asyncio.set_event_loop(self._loop)
        self._flowing.set()
        self._loop.run_until_complete(self._listen())
        is_ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._ended())
        self._loop.close()

    def end(self) -> None:
        """Stop forwarding."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _ended(self) -> None:
        await self._stop_listening()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def proxying(target_port: int, *, port: int = 0) -> Iterator[Proxy]:
    """Yield a proxy in front of a port of this host, on a free port by default."""
    proxy = Proxy(target_port, port)
    is_ready = threading.Event()
    thread = threading.Thread(target=proxy.serve_forever, args=[is_ready], daemon=True)
    thread.start()
    if not is_ready.wait(60):
        raise RuntimeError("the proxy did not start")
    try:
        yield proxy
    finally:
        proxy.end()
        thread.join(60)
