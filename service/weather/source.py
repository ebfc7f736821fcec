"""Sources of readings: the upstream itself, or the upstream with a deadline, a circuit breaker and stale responses."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import httpx
from cachetools import TTLCache
from pydantic import ValidationError

from service.errors import UpstreamUnavailable
from service.weather.circuit_breaker import CircuitBreaker, CircuitOpen
from service.weather.clients import UpstreamClient
from service.weather.metrics import UpstreamMetrics
from service.weather.reading import Reading


@dataclass(frozen=True, kw_only=True)
class SourcedReading:
    """A reading, and whether it is stale."""

    reading: Reading
    age_s: float = 0.0
    """Seconds since the upstream sent it."""
    stale_reason: str | None = None
    """Why the upstream call failed; None if the reading is fresh."""


class WeatherSource(Protocol):
    """Looks up the weather of an airport and hour."""

    async def at(self, faa: str, hour: datetime) -> SourcedReading | None:
        """Return the reading, None if the station has none; raise `UpstreamUnavailable`."""

    async def aclose(self) -> None:
        """Close the connections."""


class DirectSource:
    """The upstream itself: its latency and its failures reach the caller."""

    def __init__(self, client: UpstreamClient, metrics: UpstreamMetrics) -> None:
        self._client = client
        self._metrics = metrics

    async def at(self, faa: str, hour: datetime) -> SourcedReading | None:
        outcome = "timeout"  # also of a call that is cancelled at its deadline
        try:
            response = await self._client.get(f"/weather/{faa}", {"at": hour.isoformat()})
            found = _reading(response)
            outcome = "success" if found else "not_found"
        except httpx.TimeoutException as error:
            raise UpstreamUnavailable(type(error).__name__) from error
        except httpx.HTTPError as error:
            outcome = "failed"
            raise UpstreamUnavailable(type(error).__name__) from error
        except UpstreamUnavailable:
            outcome = "failed"
            raise
        finally:
            self._metrics.count_request(outcome)
        return found

    async def aclose(self) -> None:
        await self._client.aclose()


@dataclass(frozen=True, kw_only=True)
class ResiliencePolicy:
    """The deadline of a call, and how long its response may be served stale."""

    deadline_s: float
    stale_s: float
    max_stale_readings: int = 10_000


class ResilientSource:
    """A source with a deadline and a circuit breaker; when it fails, a stale reading is served if there is one."""

    def __init__(
        self,
        upstream: WeatherSource,
        *,
        breaker: CircuitBreaker,
        policy: ResiliencePolicy,
        metrics: UpstreamMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._breaker = breaker
        self._deadline_s = policy.deadline_s
        self._metrics = metrics
        self._clock = clock
        self._stale: TTLCache[tuple[str, datetime], tuple[Reading, float]] = TTLCache(
            policy.max_stale_readings, policy.stale_s, timer=clock
        )

    async def at(self, faa: str, hour: datetime) -> SourcedReading | None:
        """Return the reading within the deadline, stale if the upstream fails."""
        try:
            found = await self._fresh(faa, hour)
        except UpstreamUnavailable as unavailable:
            stale = self._stale.get((faa, hour))
            if stale is None:
                raise
            self._metrics.count_stale_response()
            reading, received_at = stale
            age_s = self._clock() - received_at
            return SourcedReading(reading=reading, age_s=age_s, stale_reason=unavailable.reason)
        if found is not None:
            self._stale[faa, hour] = (found.reading, self._clock())
        return found

    async def _fresh(self, faa: str, hour: datetime) -> SourcedReading | None:
        try:
            with self._breaker.attempt((UpstreamUnavailable,)):
                try:
                    async with asyncio.timeout(self._deadline_s):
                        return await self._upstream.at(faa, hour)
                except TimeoutError as error:
                    raise UpstreamUnavailable("deadline") from error
        except CircuitOpen as rejection:
            self._metrics.count_request("circuit_open")
            raise UpstreamUnavailable("circuit open", retry_after_s=rejection.retry_after_s) from rejection

    async def aclose(self) -> None:
        await self._upstream.aclose()


def _reading(response: httpx.Response) -> SourcedReading | None:
    """Return the reading, None for a 404; raise `UpstreamUnavailable` for any other response."""
    if response.status_code == 404:
        return None
    if response.status_code != 200:
        raise UpstreamUnavailable(f"status {response.status_code}")
    try:
        return SourcedReading(reading=Reading.model_validate_json(response.content))
    except ValidationError as error:
        raise UpstreamUnavailable("the response is not a reading") from error
