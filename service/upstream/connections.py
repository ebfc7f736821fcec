"""Counts of the connections to the upstream, which show whether clients reuse theirs."""

import asyncio
from dataclasses import dataclass

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@dataclass
class Connections:
    """TCP connections accepted since the start, and open now."""

    accepted: int = 0
    open: int = 0


def counting_protocol(connections: Connections) -> type[HttpToolsProtocol]:
    """Return uvicorn's HTTP protocol that also counts into `connections`; pass it as `http=`."""

    class CountingProtocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn has it so
            connections.accepted += 1
            connections.open += 1
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.open -= 1
            super().connection_lost(exc)

    return CountingProtocol
