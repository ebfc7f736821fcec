"""Where readings come from: the upstream as it is, or the upstream with a deadline, a breaker and a memory."""

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
from service.weather.breaker import Breaker, CircuitOpen
from service.weather.clients import UpstreamClient
from service.weather.metrics import UpstreamMetrics
from service.weather.reading import Reading


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reading, and where it comes from."""

    reading: Reading
    age_s: float = 0.0
    """Seconds since the upstream gave it."""
    stale_because: str | None = None
    """Why the upstream's present answer is not used; None when it is."""


class WeatherSource(Protocol):
    """What answers with the weather of an airport and hour."""

    async def at(self, faa: str, hour: datetime) -> Answer | None:
        """Return the weather, None where the station has none; raise `UpstreamUnavailable`."""
        ...

    async def aclose(self) -> None:
        """Close what is kept open."""
        ...


class DirectSource:
    """The upstream as it is: its slowness and its failures are the client's."""

    def __init__(self, client: UpstreamClient, metrics: UpstreamMetrics) -> None:
        self._client = client
        self._metrics = metrics

    async def at(self, faa: str, hour: datetime) -> Answer | None:
        """Return the weather, however long it takes."""
        outcome = "timeout"  # of a call that is cancelled: its deadline passed
        try:
            response = await self._client.get(f"/weather/{faa}", {"at": hour.isoformat()})
            answer = _answer(response)
            outcome = "success" if answer else "not_found"
        except httpx.TimeoutException as error:
            raise UpstreamUnavailable(type(error).__name__) from error
        except httpx.HTTPError as error:
            outcome = "failed"
            raise UpstreamUnavailable(type(error).__name__) from error
        except UpstreamUnavailable:
            outcome = "failed"
            raise
        finally:
            self._metrics.ended(outcome)
        return answer

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()


@dataclass(frozen=True, kw_only=True)
class ResiliencePolicy:
    """How long the upstream is waited for, and how long its answers stay useful without it."""

    deadline_s: float
    stale_s: float
    kept_answers: int = 10_000


class ResilientSource:
    """The upstream within a deadline, left alone while it fails, replaced by its last answer where there is one."""

    def __init__(
        self,
        upstream: WeatherSource,
        *,
        breaker: Breaker,
        policy: ResiliencePolicy,
        metrics: UpstreamMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._breaker = breaker
        self._deadline_s = policy.deadline_s
        self._metrics = metrics
        self._clock = clock
        self._kept: TTLCache[tuple[str, datetime], tuple[Reading, float]] = TTLCache(
            policy.kept_answers, policy.stale_s, timer=clock
        )

    async def at(self, faa: str, hour: datetime) -> Answer | None:
        """Return the weather within the deadline, kept from before if need be."""
        try:
            answer = await self._asked(faa, hour)
        except UpstreamUnavailable as unavailable:
            kept = self._kept.get((faa, hour))
            if kept is None:
                raise
            self._metrics.answered_stale()
            reading, since = kept
            return Answer(reading=reading, age_s=self._clock() - since, stale_because=unavailable.reason)
        if answer is not None:
            self._kept[faa, hour] = (answer.reading, self._clock())
        return answer

    async def _asked(self, faa: str, hour: datetime) -> Answer | None:
        try:
            with self._breaker.attempt((UpstreamUnavailable,)):
                return await self._in_time(faa, hour)
        except CircuitOpen as refusal:
            self._metrics.ended("circuit_open")
            raise UpstreamUnavailable("circuit open", retry_after_s=refusal.retry_after_s) from refusal

    async def _in_time(self, faa: str, hour: datetime) -> Answer | None:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._upstream.at(faa, hour)
        except TimeoutError as error:
            raise UpstreamUnavailable("deadline") from error

    async def aclose(self) -> None:
        """Close the upstream."""
        await self._upstream.aclose()


def _answer(response: httpx.Response) -> Answer | None:
    """Return the reading, None for a gap; raise `UpstreamUnavailable` for any other response."""
    if response.status_code == 404:
        return None
    if response.status_code != 200:
        raise UpstreamUnavailable(f"status {response.status_code}")
    try:
        return Answer(reading=Reading.model_validate_json(response.content))
    except ValidationError as error:
        raise UpstreamUnavailable("an answer that is not a reading") from error
