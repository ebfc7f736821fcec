import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from observability import TelemetrySettings
from service.app import create_app
from service.settings import Settings
from service.techniques import NAMES
from service.upstream.behaviour import Behaviour
from tests.servers.asgi import serving
from tests.service.weather.conftest import Upstream, reading

STORM = "/weather/JFK?at=2013-02-08T20:17Z"
HANGING = Behaviour(hang_s=60)


@contextmanager
def service(
    upstream: Upstream, techniques: frozenset[str] = frozenset(NAMES), *, deadline_s: float = 5.0
) -> Iterator[httpx.Client]:
    """Yield a client of the service on a real server, without a database, which the weather does not use.

    Where the upstream responds, a busy machine needs a deadline of seconds.
    """
    settings = Settings(
        techniques=techniques,
        data_dir=Path("missing"),
        weather_url=upstream.url,
        weather_deadline_s=deadline_s,
        weather_breaker_failures=1000,
    )
    quiet = TelemetrySettings(metrics_exporter="none", access_log=False)
    with serving(create_app(settings, telemetry=quiet)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def test_a_time_within_an_hour_returns_the_reading_of_the_hour(upstream: Upstream) -> None:
    with service(upstream) as client:
        response = client.get(STORM)

    assert response.status_code == 200
    assert response.json() == reading("JFK", 20).model_dump(mode="json", exclude_none=True)
    assert "Age" not in response.headers


def test_a_stale_response_has_the_same_body_and_its_age(upstream: Upstream) -> None:
    with service(upstream, deadline_s=2.0) as client:
        fresh = client.get(STORM)
        upstream.faults.set(HANGING)
        stale = client.get(STORM)

    assert stale.status_code == 200
    assert stale.content == fresh.content
    assert int(stale.headers["Age"]) >= 1
    assert stale.headers["Cache-Status"].startswith("Flightdeck-Upstream; hit; ttl=-")
    assert 'detail="deadline"' in stale.headers["Cache-Status"]
    assert stale.headers["Cache-Control"] == "no-store"


def test_without_a_stale_response_the_client_gets_a_503_with_retry_after(upstream: Upstream) -> None:
    upstream.faults.set(HANGING)
    with service(upstream, deadline_s=0.3) as client:
        response = client.get(STORM)

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"].endswith("upstream-unavailable")


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/weather/JFK", 422, "at"),
        ("/weather/JFK?at=now", 422, "YYYY-MM-DDTHH:MM"),
        ("/weather/JFK?at=2013-02-08T20:00", 422, "zone"),
        ("/weather/JFK?at=2013-02-08T20:00Z&units=c", 422, "unknown parameter"),
        ("/weather/..%2Fadmin%2Fbehaviour?at=2013-02-08T20:00Z", 404, "there is no resource at this path"),
        ("/weather/ORD?at=2013-02-08T20:00Z", 404, "EWR, JFK and LGA"),
        ("/weather/JFK?at=2014-02-08T20:00Z", 404, "2013"),
    ],
)
def test_an_invalid_request_gets_a_problem_that_says_what_is_allowed(
    upstream: Upstream, path: str, status: int, text: str
) -> None:
    with service(upstream) as client:
        response = client.get(path)

    assert response.status_code == status
    assert text in response.text


def slowest_during_a_hang(upstream: Upstream, techniques: frozenset[str]) -> float:
    """Return the 99th percentile, in seconds, of another route while weather requests wait for a hanging upstream."""
    upstream.faults.set(upstream.faults.initial)
    with service(upstream, techniques, deadline_s=0.3) as client:
        client.get("/livez")
        upstream.faults.set(HANGING)
        stop = threading.Event()

        def request_weather() -> None:
            with httpx.Client(base_url=client.base_url, timeout=60) as own:
                while not stop.is_set():
                    own.get(STORM)

        clients = [threading.Thread(target=request_weather, daemon=True) for _ in range(8)]
        for thread in clients:
            thread.start()
        latencies = []
        until = time.perf_counter() + 1.5
        while time.perf_counter() < until:
            started = time.perf_counter()
            assert client.get("/livez").status_code == 200
            latencies.append(time.perf_counter() - started)
            time.sleep(0.002)
        stop.set()
        for thread in clients:
            thread.join(timeout=60)
    return sorted(latencies)[int(len(latencies) * 0.99)]


def test_a_hanging_upstream_does_not_slow_other_routes(upstream: Upstream) -> None:
    # A busy machine spoils a window now and then; a blocked event loop would spoil all of them.
    windows = (slowest_during_a_hang(upstream, frozenset(NAMES)) for _ in range(12))

    assert any(slowest < 0.1 for slowest in windows)


def test_with_a_blocking_client_every_route_waits_for_a_hanging_upstream(upstream: Upstream) -> None:
    assert slowest_during_a_hang(upstream, frozenset(NAMES) - {"async_io"}) > 0.25


@pytest.mark.parametrize("techniques", [frozenset(NAMES), frozenset[str]()], ids=["async", "blocking, per call"])
def test_a_call_is_timed_and_propagates_the_trace(upstream: Upstream, techniques: frozenset[str]) -> None:
    with service(upstream, techniques) as client:
        response = client.get(STORM)

    assert "upstream;dur=" in response.headers["Server-Timing"]
    assert upstream.traces[-1] == response.headers["X-Trace-Id"]
