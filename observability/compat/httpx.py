"""httpx: the transports of a client that exists already, and the meters of its official instrumentation."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Final

import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.metrics import NoOpMeterProvider

NO_METERS: Final[Mapping[str, Any]] = (
    {"meter_provider": NoOpMeterProvider()}
    if "meter_provider" in signature(HTTPXClientInstrumentor.instrument_client).parameters
    else {}
)
"""An argument for newer versions of the instrumentation, whose metrics have the names of ours."""


def has_transports(client: httpx.Client | httpx.AsyncClient) -> bool:
    """Return whether `wrap_transports()` works; without it, clients are not instrumented."""
    return hasattr(client, "_transport") and hasattr(client, "_mounts")


def wrap_transports(client: Any, wrap: Callable[[Any], Any]) -> None:
    """Replace the client's transports, those of its proxies and mounts too, by `wrap(transport)`."""
    client._transport = wrap(client._transport)
    client._mounts = {pattern: transport and wrap(transport) for pattern, transport in client._mounts.items()}
