"""Responses of a service without a free slot."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from service.http.admission.concurrency_limiter import Bounds, ConcurrencyLimiter
from service.http.admission.metrics import AdmissionMetrics
from service.http.admission.middleware import AdmissionMiddleware

pytestmark = pytest.mark.anyio


class World:
    """An application with one slot, which `/slow` holds until `may_respond`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.may_respond = asyncio.Event()
        self.may_end = asyncio.Event()
        limiter = ConcurrencyLimiter(Bounds(slots=1, queue=0, timeout_s=0.05), AdmissionMetrics(self.registry))
        paths: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/slow": self._slow,
            "/stream": self._stream,
            "/fails": self._fails,
        }
        routes = [Route(path, endpoint) for path, endpoint in paths.items()]
        routes += [Route(path, lambda _: PlainTextResponse("ok")) for path in ("/livez", "/readyz", "/quick")]
        self.app = AdmissionMiddleware(Starlette(routes=routes), limiter=limiter)

    async def _slow(self, _: Request) -> Response:
        await self.may_respond.wait()
        return PlainTextResponse("slow")

    async def _stream(self, _: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await self.may_end.wait()

        return StreamingResponse(pieces())

    async def _fails(self, _: Request) -> Response:
        raise RuntimeError("on purpose")

    @property
    def running(self) -> float | None:
        return self.registry.get_sample_value("admission_inprogress_requests")

    @asynccontextmanager
    async def holding(self, path: str) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client while another request is in progress."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            held = asyncio.create_task(client.get(path))
            await asyncio.sleep(0.01)
            yield client
            self.may_respond.set()
            self.may_end.set()
            assert (await held).status_code == 200


async def test_a_rejection_is_a_problem_with_retry_after() -> None:
    world = World()
    async with world.holding("/slow") as client:
        rejected = await client.get("/quick")

    assert rejected.status_code == 503
    assert int(rejected.headers["Retry-After"]) >= 1
    assert rejected.headers["Cache-Control"] == "no-store"
    assert rejected.json()["type"] == "urn:problem-type:flightdeck:overloaded"
    assert "not processed" in rejected.json()["detail"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_need_no_slot(path: str) -> None:
    world = World()
    async with world.holding("/slow") as client:
        assert (await client.get(path)).status_code == 200


async def test_a_response_that_has_started_holds_no_slot() -> None:
    world = World()
    async with world.holding("/stream") as client:
        assert (await client.get("/quick")).status_code == 200
    assert world.running == 0


async def test_a_request_that_fails_releases_its_slot() -> None:
    world = World()
    async with world.holding("/stream") as client:
        with pytest.raises(RuntimeError, match="on purpose"):
            await httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://test").get("/fails")
        assert (await client.get("/quick")).status_code == 200
    assert world.running == 0
