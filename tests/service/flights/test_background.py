"""Side effects run before or after the response, and also when the response cannot be sent."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.flights.background import AfterResponse, BeforeResponse, ResponseThenWork, Timing
from tests.servers.asgi import serving


@contextmanager
def route(timing: Timing, release: Event, done: Event) -> Iterator[httpx.Client]:
    """Yield a client of an application whose route has work that blocks until it is released."""

    async def work() -> None:
        await asyncio.to_thread(release.wait, 10)
        done.set()

    async def endpoint(_: Request) -> Response:
        return await timing.respond(JSONResponse({"ok": True}, headers={"X-Kept": "yes"}), work)

    with serving(Starlette(routes=[Route("/", endpoint)])) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def test_work_after_the_response_does_not_delay_the_response() -> None:
    release, done = Event(), Event()
    with route(AfterResponse(), release, done) as client:
        response = client.get("/")
        assert not done.is_set()
        release.set()
        assert done.wait(60)

    assert response.json() == {"ok": True}
    assert response.headers["X-Kept"] == "yes"


def test_work_before_the_response_is_done_when_the_response_is_sent() -> None:
    release, done = Event(), Event()
    with route(BeforeResponse(), release, done) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.get("/", timeout=0.2)
        release.set()
        assert client.get("/").json() == {"ok": True}

    assert done.is_set()


@pytest.mark.anyio
async def test_work_after_a_response_runs_even_if_the_response_cannot_be_sent() -> None:
    done = Event()

    async def work() -> None:
        done.set()

    async def broken(_: object) -> None:
        raise OSError("the client has disconnected")

    with pytest.raises(OSError, match="disconnected"):
        await ResponseThenWork(Response(b"{}"), work)({"type": "http"}, asyncio.Queue[object]().get, broken)  # type: ignore[arg-type]

    assert done.is_set()
