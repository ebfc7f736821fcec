"""Connections that clients open to the upstream: a client that reuses its own opens few."""

import asyncio
from dataclasses import dataclass

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@dataclass
class Connections:
    """How many TCP connections were accepted since the start, and how many are open."""

    accepted: int = 0
    open: int = 0


def counting_protocol(connections: Connections) -> type[HttpToolsProtocol]:
    """Return uvicorn's HTTP protocol that also counts into `connections`; pass it as `http=`."""

    class CountingProtocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            connections.accepted += 1
            connections.open += 1
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.open -= 1
            super().connection_lost(exc)

    return CountingProtocol
