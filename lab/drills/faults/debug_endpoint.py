"""A fault that the service injects itself: it has the setting `OBSERVABILITY_FAULTS`, and gets requests to do so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from lab.drills.run.errors import DrillError
from lab.drills.run.traffic import in_background
from observability.faults.fault import PREFIX

TIMEOUT_S: Final = 10.0


class DebugEndpoint:
    """The endpoint of one fault on the metrics port of a service."""

    def __init__(self, metrics: str, name: str, *, seconds: float, pause_s: float) -> None:
        self._url = f"{metrics.rstrip('/').removesuffix('/metrics')}{PREFIX}{name}"
        self._seconds = seconds
        self._pause_s = pause_s

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Raise `DrillError` unless the service has the endpoint."""
        response = await self._request("GET")
        if response.status_code != httpx.codes.METHOD_NOT_ALLOWED:
            raise DrillError(
                f"{self._url} injects no fault: start the service with OBSERVABILITY_FAULTS=true, for this drill only"
            )
        yield

    @asynccontextmanager
    async def injected(self) -> AsyncIterator[None]:
        """Inject the fault again and again during the block, and end it."""
        await self._inject()
        try:
            async with in_background([self._repeat()]):
                yield
        finally:
            await self._request("DELETE")

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            await self._inject()

    async def _inject(self) -> None:
        response = await self._request("POST", params={"seconds": self._seconds})
        if response.status_code not in {httpx.codes.ACCEPTED, httpx.codes.CONFLICT}:  # the latter: it still lasts
            raise DrillError(f"{self._url} injects no fault: {response.text.strip()}")

    async def _request(self, method: str, *, params: dict[str, float] | None = None) -> httpx.Response:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            try:
                return await client.request(method, self._url, params=params)
            except httpx.HTTPError as error:
                raise DrillError(f"{self._url} does not respond: {error}") from error
