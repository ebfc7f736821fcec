import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from service.errors import UpstreamUnavailable
from service.settings import Settings
from service.upstream.behaviour import Behaviour
from service.weather.factory import weather_source
from service.weather.source import SourcedReading, WeatherSource
from tests.servers.port import free_port
from tests.service.weather.conftest import Upstream, WallClock, reading

HOUR = datetime(2013, 2, 8, 20, tzinfo=UTC)
NEVER = HOUR.replace(year=2014)
QUICK = Behaviour(median_ms=0, p99_ms=0)
HANGING = Behaviour(hang_s=60)
FAILING = Behaviour(median_ms=0, p99_ms=0, failure_rate=1)
ALL = ("async_io", "connection_reuse", "timeouts")
VARIANTS = [frozenset(name for bit, name in enumerate(ALL) if number >> bit & 1) for number in range(8)]

Open = Callable[..., AbstractAsyncContextManager[WeatherSource]]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def opened(registry: CollectorRegistry) -> Open:
    """Return a context manager of a source with these techniques and settings."""

    @asynccontextmanager
    async def opened(
        url: str, techniques: frozenset[str] = VARIANTS[-1], **settings: Any
    ) -> AsyncIterator[WeatherSource]:
        chosen = {"weather_deadline_s": 5, "weather_breaker_failures": 1000, **settings}
        source = weather_source(
            Settings(techniques=techniques, weather_url=url, **chosen), registry, instrument=lambda _: None
        )
        try:
            yield source
        finally:
            await source.aclose()

    return opened


async def seconds_to_fail(call: Coroutine[Any, Any, SourcedReading | None]) -> float:
    started = perf_counter()
    with pytest.raises(UpstreamUnavailable):
        await call
    return perf_counter() - started


@pytest.mark.parametrize("techniques", VARIANTS, ids=lambda techniques: "+".join(sorted(techniques)) or "none")
async def test_every_combination_of_techniques_returns_the_same_readings(
    upstream: Upstream, opened: Open, registry: CollectorRegistry, techniques: frozenset[str]
) -> None:
    async with opened(upstream.url, techniques) as source:
        found = await source.at("JFK", HOUR)
        gap = await source.at("JFK", NEVER)
        upstream.faults.set(FAILING)
        with pytest.raises(UpstreamUnavailable, match="status 503"):
            await source.at("LGA", HOUR)

    assert found == SourcedReading(reading=reading("JFK", 20))
    assert gap is None
    for outcome in ("success", "not_found", "failed"):
        assert registry.get_sample_value("upstream_requests_total", {"upstream": "weather", "outcome": outcome}) == 1


@pytest.mark.parametrize("techniques", VARIANTS, ids=lambda techniques: "+".join(sorted(techniques)) or "none")
async def test_a_reused_client_connects_once_and_a_client_per_call_every_time(
    upstream: Upstream, opened: Open, registry: CollectorRegistry, techniques: frozenset[str]
) -> None:
    async with opened(upstream.url, techniques) as source:
        for _ in range(3):
            await source.at("JFK", HOUR)

    connects = 1 if "connection_reuse" in techniques else 3
    assert upstream.connections.accepted == connects
    assert registry.get_sample_value("upstream_connects_total", {"upstream": "weather"}) == connects


async def test_concurrent_calls_share_at_most_the_allowed_connections(upstream: Upstream, opened: Open) -> None:
    upstream.faults.set(Behaviour(median_ms=5, p99_ms=6))
    async with opened(upstream.url, weather_max_connections=4, weather_deadline_s=5) as source:
        await asyncio.gather(*(source.at("JFK", HOUR) for _ in range(40)))

    assert upstream.connections.accepted <= 4


async def test_a_hanging_upstream_fails_at_the_deadline(upstream: Upstream, opened: Open) -> None:
    upstream.faults.set(HANGING)
    async with opened(upstream.url, weather_deadline_s=0.3) as source:
        assert 0.29 < await seconds_to_fail(source.at("JFK", HOUR)) < HANGING.hang_s / 2


async def test_a_call_to_a_hanging_upstream_is_not_retried(upstream: Upstream, opened: Open) -> None:
    upstream.faults.set(HANGING)
    async with opened(upstream.url, weather_deadline_s=1.5) as source:
        await seconds_to_fail(source.at("JFK", HOUR))

    assert upstream.connections.accepted == 1


async def test_without_timeouts_a_call_waits_for_a_hanging_upstream(upstream: Upstream, opened: Open) -> None:
    upstream.faults.set(HANGING)
    async with opened(upstream.url, frozenset({"async_io", "connection_reuse"})) as source:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.at("JFK", HOUR), timeout=1)


async def test_a_call_that_gets_a_503_is_retried(upstream: Upstream, opened: Open) -> None:
    upstream.faults.set(Behaviour(median_ms=0, p99_ms=0, failure_rate=0.4))
    async with opened(upstream.url, weather_deadline_s=60) as source:
        outcomes = await asyncio.gather(*(source.at("JFK", HOUR) for _ in range(200)), return_exceptions=True)

    failed = sum(isinstance(outcome, UpstreamUnavailable) for outcome in outcomes)
    assert failed < 30, "three attempts at 40 % leave about 6 % failures"


async def test_an_upstream_that_is_down_fails_quickly(opened: Open) -> None:
    async with opened(f"http://127.0.0.1:{free_port()}", weather_deadline_s=60) as source:
        assert await seconds_to_fail(source.at("JFK", HOUR)) < 30


@pytest.mark.parametrize(
    ("fault", "deadline_s", "reason"),
    [(HANGING, 1.5, "deadline"), (FAILING, 5, "status 503")],
    ids=["hanging", "failing"],
)
async def test_an_earlier_reading_is_served_stale_with_the_reason(
    upstream: Upstream, opened: Open, registry: CollectorRegistry, fault: Behaviour, deadline_s: float, reason: str
) -> None:
    async with opened(upstream.url, weather_deadline_s=deadline_s) as source:
        fresh = await source.at("JFK", HOUR)
        upstream.faults.set(fault)
        stale = await source.at("JFK", HOUR)
        upstream.faults.set(QUICK)
        again = await source.at("JFK", HOUR)

    assert fresh is not None
    assert stale is not None
    assert stale.reading == fresh.reading
    assert stale.stale_reason == reason
    assert 0 < stale.age_s < 5
    assert again == fresh
    assert registry.get_sample_value("upstream_stale_responses_total", {"upstream": "weather"}) == 1


async def test_a_reading_older_than_the_limit_is_not_served_stale(upstream: Upstream, opened: Open) -> None:
    async with opened(upstream.url, weather_stale_s=1) as source:
        await source.at("JFK", HOUR)
        upstream.faults.set(FAILING)
        assert await source.at("JFK", HOUR) is not None
        await asyncio.sleep(1.05)
        await seconds_to_fail(source.at("JFK", HOUR))


async def test_an_open_circuit_makes_no_call_and_closes_after_a_trial(
    upstream: Upstream, opened: Open, registry: CollectorRegistry, wall_clock: WallClock
) -> None:
    upstream.faults.set(HANGING)
    async with opened(
        upstream.url, weather_deadline_s=1, weather_breaker_failures=3, weather_breaker_reset_s=30
    ) as source:
        for _ in range(3):
            await seconds_to_fail(source.at("JFK", HOUR))
        calls = len(upstream.traces)
        await seconds_to_fail(source.at("JFK", HOUR))
        assert len(upstream.traces) == calls, "the call was not made"
        assert registry.get_sample_value("upstream_circuit_state", {"upstream": "weather", "state": "opened"}) == 1
        assert (
            registry.get_sample_value("upstream_requests_total", {"upstream": "weather", "outcome": "circuit_open"})
            == 1
        )

        upstream.faults.set(QUICK)
        wall_clock.now += 31
        assert await source.at("JFK", HOUR) is not None

    assert registry.get_sample_value("upstream_circuit_state", {"upstream": "weather", "state": "closed"}) == 1
    assert registry.get_sample_value("upstream_requests_total", {"upstream": "weather", "outcome": "timeout"}) == 3
