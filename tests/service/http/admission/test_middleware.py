"""What a client of a service without a free turn sees."""

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

from service.http.admission.concurrency_limiter import Bounds, Turnstile
from service.http.admission.meter import AdmissionMetrics
from service.http.admission.middleware import AdmissionMiddleware

pytestmark = pytest.mark.anyio


class World:
    """An application with one turn, which `/slow` holds until it may answer."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.may_answer = asyncio.Event()
        self.may_end = asyncio.Event()
        turnstile = Turnstile(Bounds(running=1, waiting=0, wait_s=0.05), AdmissionMetrics(self.registry))
        paths: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/slow": self._slow,
            "/stream": self._stream,
            "/fails": self._fails,
        }
        routes = [Route(path, endpoint) for path, endpoint in paths.items()]
        routes += [Route(path, lambda _: PlainTextResponse("ok")) for path in ("/livez", "/readyz", "/quick")]
        self.app = AdmissionMiddleware(Starlette(routes=routes), turnstile=turnstile)

    async def _slow(self, _: Request) -> Response:
        await self.may_answer.wait()
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
        """Yield a client while another one's request is under way."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            held = asyncio.create_task(client.get(path))
            await asyncio.sleep(0.01)
            yield client
            self.may_answer.set()
            self.may_end.set()
            assert (await held).status_code == 200


async def test_without_a_turn_the_answer_is_a_problem_that_says_when_to_come_back() -> None:
    world = World()
    async with world.holding("/slow") as client:
        refused = await client.get("/quick")

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["Cache-Control"] == "no-store"
    assert refused.json()["type"] == "urn:problem-type:flightdeck:overloaded"
    assert "not begun" in refused.json()["detail"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_are_answered_without_a_turn(path: str) -> None:
    world = World()
    async with world.holding("/slow") as client:
        assert (await client.get(path)).status_code == 200


async def test_an_answer_that_has_begun_holds_no_turn() -> None:
    world = World()
    async with world.holding("/stream") as client:
        assert (await client.get("/quick")).status_code == 200
    assert world.running == 0


async def test_a_request_that_fails_gives_its_turn_back() -> None:
    world = World()
    async with world.holding("/stream") as client:
        with pytest.raises(RuntimeError, match="on purpose"):
            await httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://test").get("/fails")
        assert (await client.get("/quick")).status_code == 200
    assert world.running == 0
