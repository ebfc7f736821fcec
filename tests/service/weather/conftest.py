from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

import pytest
from starlette.types import Receive, Scope, Send

from service.upstream.app import create_upstream
from service.upstream.behaviour import Behaviour, FaultController
from service.upstream.connections import Connections, counting_protocol
from service.upstream.readings import Readings
from service.weather.reading import Reading
from tests.servers.asgi import serving


@dataclass(frozen=True)
class Upstream:
    """A running upstream and its controls."""

    url: str
    faults: FaultController
    connections: Connections
    traces: list[str]
    """The trace id of each weather request, from its `traceparent`."""


def reading(origin: str = "JFK", hour: int = 20) -> Reading:
    return Reading(
        origin=origin,
        time=datetime(2013, 2, 8, hour, tzinfo=UTC),
        temperature_f=33.08,
        dew_point_f=30.92,
        humidity_percent=91.62,
        wind_direction_deg=40,
        wind_speed_mph=21.86,
        wind_gust_mph=None,
        precipitation_in=0.06,
        pressure_mbar=None,
        visibility_mi=0.5,
    )


class WallClock:
    """Stands in for the module `time` where circuits read it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """The time of circuits, which only the test moves: on a busy machine one would close before it is looked at."""
    clock = WallClock()
    for module in ("purgatory.domain.model", "service.weather.circuit_breaker"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A real upstream without latency, until the test injects a fault.

    Of one test: it may notice only later a connection that a client has given up.
    """
    faults = FaultController(Behaviour(median_ms=0, p99_ms=0))
    connections = Connections()
    readings = Readings(reading(origin, hour) for origin in ("EWR", "JFK", "LGA") for hour in range(24))
    app = create_upstream(readings, faults, connections=connections, random=Random(1))
    traces: list[str] = []

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            traces.append(dict(scope["headers"]).get(b"traceparent", b"-").decode().split("-")[1])
        await app(scope, receive, send)

    with serving(traced, http=counting_protocol(connections)) as url:
        yield Upstream(url, faults, connections, traces)
