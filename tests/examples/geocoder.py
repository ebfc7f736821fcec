"""A third-party application for tests: `async def` endpoints, a cache of its own and an HTTP client; no database.

    uvicorn tests.examples.geocoder:create_app --factory

It has one bug: a place whose name is empty.
"""

from time import perf_counter
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from observability import instrument
from observability.cache.cache import CacheMetrics


async def gazetteer(request: httpx.Request) -> httpx.Response:
    """Respond as the server that the application calls."""
    return httpx.Response(200, json={"name": request.url.params["name"], "latitude": 40.6, "longitude": -73.8})


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
            response = await self._client.get("http://gazetteer/places", params={"name": name})
            self._cached[name] = response.json()
        self._metrics.observe("places", level="local", result=result, seconds=perf_counter() - started)
        return self._cached[name]


def create_app() -> FastAPI:
    app = FastAPI(title="geocoder")
    registry = CollectorRegistry()
    client = httpx.AsyncClient(transport=httpx.MockTransport(gazetteer))
    places = Places(client, CacheMetrics(registry))

    @app.get("/search")
    async def search(name: str) -> Any:
        initial = name[0]
        return {"initial": initial, "place": await places.place(name)}

    @app.get("/nearest/{latitude}/{longitude}")
    async def nearest(latitude: float, longitude: float) -> dict[str, str]:
        return {"name": f"{latitude:.0f} {longitude:.0f}"}

    @app.post("/batches")
    async def batch(names: list[str]) -> list[Any]:
        return [await places.place(name) for name in names]

    instrument(app, registry=registry, http_clients={"gazetteer": client}, whatif=True)
    return app
