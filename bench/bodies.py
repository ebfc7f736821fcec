"""Bodies that the service really sends: a departure board, a report, a page of flights."""

import asyncio
from pathlib import Path
from typing import Final

import httpx

from bench.cached_board import PATH, QUERY, UNINSTRUMENTED
from service.app import create_app
from service.settings import Settings

REQUESTS: Final = {
    "departure board": f"{PATH}?{QUERY}",
    "delay report": "/reports/delays?by=destination",
    "page of flights": "/flights?limit=100",
}


def bodies(data_dir: Path) -> dict[str, bytes]:
    """Return the uncompressed bodies by name, of a service without caching and sparse responses."""

    async def bodies() -> dict[str, bytes]:
        settings = Settings.model_validate({"techniques": frozenset({"indexes", "pagination"}), "data_dir": data_dir})
        app = create_app(settings, telemetry=UNINSTRUMENTED)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=60) as client,
        ):
            return {name: (await client.get(path)).raise_for_status().content for name, path in REQUESTS.items()}

    return asyncio.run(bodies())
