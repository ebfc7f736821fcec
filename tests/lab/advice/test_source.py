"""A real application under a real server, scraped and predicted."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import make_asgi_app
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from lab.advice.advise import advise
from lab.advice.source import scraped
from lab.advice.window import Window
from lab.compare import RemoteService
from lab.core.errors import BadTarget
from observability.testing import capture_telemetry
from tests.servers.asgi import serving


def nothing(_: str) -> None:
    """Show no progress."""


@pytest.mark.anyio
async def test_the_advice_for_a_running_service_names_the_route_that_a_cache_would_help() -> None:
    app = FastAPI()

    @app.get("/slow/{number}")
    async def slow(number: int) -> list[dict[str, Any]]:
        await asyncio.sleep(0.01)
        return [{"number": number, "text": "the same again and again", "nothing": None}] * 100

    with capture_telemetry() as captured:
        captured.instrument(app, whatif=True)
        app.router.routes.append(Mount("/metrics", make_asgi_app(captured.registry)))
        with serving(app) as url:
            service = RemoteService(name="shop", url=url, metrics_url=f"{url}/metrics/")
            scrapes = [(0.0, await service.snapshot())]
            async with httpx.AsyncClient() as client:
                for number in range(1, 6):
                    for _ in range(5):
                        await asyncio.gather(*(client.get(f"{url}/slow/{book % 4}") for book in range(8)))
                    scrapes.append((float(number), await service.snapshot()))
            advice = advise(Window.of(scrapes), source=url)
    verdicts = {one.technique: one for one in advice.predictions}
    assert verdicts["response_cache"].verdict == "helps"
    assert next(iter(verdicts["response_cache"].routes)) == "/slow/{number}"
    assert verdicts["http_cache"].verdict == "helps"


@pytest.mark.anyio
async def test_an_endpoint_is_scraped_in_slices() -> None:
    app = FastAPI()
    with capture_telemetry() as captured:
        captured.instrument(app, whatif=True)
        app.router.routes.append(Mount("/metrics", make_asgi_app(captured.registry)))
        with serving(app) as url:
            observed = await scraped(f"{url}/metrics/", seconds=0.3, progress=nothing, slices=3)
    assert len(observed.seconds) == 3
    assert observed.whole().total("whatif_requests_total", handler="/metrics") == 3


@pytest.mark.anyio
async def test_a_service_without_what_if_metrics_gets_a_hint() -> None:
    from starlette.applications import Starlette  # noqa: PLC0415 beside its only use

    plain = Starlette(routes=[Route("/metrics", lambda _: PlainTextResponse("up 1\n"))])
    with serving(plain) as url, pytest.raises(BadTarget, match="OBSERVABILITY_WHATIF=1"):
        await scraped(f"{url}/metrics", seconds=1.0, progress=nothing)
