"""A third-party application for tests: `async def` endpoints, a cache of its own and an HTTP client; no database.

    GAZETTEER_URL=http://localhost:8001 uvicorn tests.examples.geocoder:create_app --factory

It has one bug: a place whose name is empty.
"""

import os
from time import perf_counter
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from observability import instrument
from observability.cache.cache import CacheMetrics


class Places:
    """Places by their names, each requested once."""

    def __init__(self, client: httpx.AsyncClient, metrics: CacheMetrics) -> None:
        self._client = client
        self._metrics = metrics
        self._cached: dict[str, Any] = {}

    async def place(self, name: str) -> Any:
        started = perf_counter()
        result = "hit" if name in self._cached else "miss"
        if result == "miss":
            response = await self._client.get("/places", params={"name": name})
            self._cached[name] = response.json()
        self._metrics.observe("places", level="local", result=result, seconds=perf_counter() - started)
        return self._cached[name]


def create_app() -> FastAPI:
    app = FastAPI(title="geocoder")
    registry = CollectorRegistry()
    client = httpx.AsyncClient(base_url=os.environ["GAZETTEER_URL"])
    places = Places(client, CacheMetrics(registry))

    @app.get("/search")
    async def search(name: str) -> Any:
        initial = name[0]
        return {"initial": initial, "place": await places.place(name)}

    @app.get("/nearest/{latitude}/{longitude}")
    async def nearest(latitude: float, longitude: float) -> Any:
        response = await client.get("/places", params={"near": f"{latitude:.0f} {longitude:.0f}"})
        return response.json()

    @app.post("/batches")
    async def batch(names: list[str]) -> list[Any]:
        return [await places.place(name) for name in names]

    instrument(app, registry=registry, http_clients={"gazetteer": client}, whatif=True)
    return app
