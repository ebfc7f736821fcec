"""httpx: the transports of a client that exists already."""

from collections.abc import Callable
from typing import Any

import httpx


def has_transports(client: httpx.Client | httpx.AsyncClient) -> bool:
    """Return whether `wrap_transports()` works; without it, clients are not instrumented."""
    return hasattr(client, "_transport") and hasattr(client, "_mounts")


def wrap_transports(client: Any, wrap: Callable[[Any], Any]) -> None:
    """Replace the client's transports, those of its proxies and mounts too, by `wrap(transport)`."""
    client._transport = wrap(client._transport)
    client._mounts = {pattern: transport and wrap(transport) for pattern, transport in client._mounts.items()}
