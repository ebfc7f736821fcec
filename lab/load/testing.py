"""A stub service in the caller's event loop, for tests of load and measurement."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, kw_only=True)
class StubResponse:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


Handler = Callable[[ReceivedRequest], Awaitable[StubResponse]]


@asynccontextmanager
async def stub_service(handler: Handler, *, port: int = 0, hangs_up: bool = False) -> AsyncIterator[str]:
    """Serve the handler on a loopback port (0: a free one) and yield the URL; `hangs_up` closes after each response."""
    connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[writer] = asyncio.current_task()
        try:
            while line := await reader.readline():
                method, target, _ = line.decode().split()
                headers = {}
                while (header := (await reader.readline()).decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                response = await handler(ReceivedRequest(method=method, target=target, headers=headers, body=body))
                writer.write(_encoded(response, method))
                await writer.drain()
                if hangs_up:
                    break
        except ConnectionError:
            pass  # the client disconnected
        finally:
            writer.close()
            await asyncio.sleep(0)  # transports close in the next iteration of the loop

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in connections:
            writer.transport.abort()
        await asyncio.gather(*(task for task in connections.values() if task is not None), return_exceptions=True)


def _encoded(response: StubResponse, method: str) -> bytes:
    body = b"" if response.status in {204, 304} else response.body
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    if response.status not in {204, 304}:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)
