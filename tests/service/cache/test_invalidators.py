"""Purges of the edge after writes; the edge is an application that records them."""

import asyncio
import logging

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from service.cache import invalidators as edge
from service.cache.invalidators import EdgePurger, Invalidators
from tests.service.conftest import Clock, Lookups
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Edge:
    """Records purges, or responds 503."""

    def __init__(self) -> None:
        self.purged: list[str] = []
        self.is_down = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        keys = dict(scope["headers"])[b"surrogate-key"].decode()
        assert scope["method"] == "PURGE"
        if self.is_down:
            await PlainTextResponse("no", 503)(scope, receive, send)
            return
        self.purged.append(keys)
        await PlainTextResponse("", headers={"x-purged": "2"})(scope, receive, send)


@pytest.fixture
def there() -> Edge:
    return Edge()


@pytest.fixture
def purging(there: Edge, lookups: Lookups, clock: Clock) -> EdgePurger:
    transport = httpx.ASGITransport(app=there)
    return EdgePurger(url="http://edge", meter=lookups, transport=transport, clock=clock)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "TICK_S", 0.01)


async def test_a_write_purges_its_tags_and_counts_purged_entries(
    purging: EdgePurger, there: Edge, lookups: Lookups
) -> None:
    await purging.invalidate(["flights", "board:JFK:2013-01-01", "odd tag"])
    assert there.purged == ["board:JFK:2013-01-01 flights odd%20tag"]
    assert lookups.invalidations["edge", "edge"] == 2


async def test_a_purge_is_repeated_for_responses_that_were_in_progress(
    purging: EdgePurger, there: Edge, clock: Clock
) -> None:
    async with purging:
        await purging.invalidate(["a"])
        await asyncio.sleep(0.03)
        assert there.purged == ["a"]
        clock.advance(1)
        await asyncio.sleep(0.03)
        assert there.purged == ["a", "a"]
        clock.advance(9)
        await asyncio.sleep(0.03)
        assert there.purged == ["a", "a", "a"]
        clock.advance(100)
        await asyncio.sleep(0.03)
        assert len(there.purged) == 3


async def test_purges_are_repeated_until_the_edge_is_up(
    purging: EdgePurger, there: Edge, lookups: Lookups, caplog: pytest.LogCaptureFixture
) -> None:
    there.is_down = True
    with caplog.at_level(logging.WARNING):
        async with purging:
            await purging.invalidate(["a"])
            await purging.invalidate(["b"])
            await asyncio.sleep(0.03)
            there.is_down = False
            await asyncio.sleep(0.03)
            assert there.purged == ["a b"]
    assert lookups.results["edge", "edge", "error"] >= 2
    assert len([record for record in caplog.records if "purged" in record.getMessage()]) == 1


async def test_more_tags_than_fit_into_a_header_purge_everything(purging: EdgePurger, there: Edge) -> None:
    await purging.invalidate([f"flight:{number}" for number in range(500)])
    assert there.purged == ["*"]


async def test_a_cancelled_write_does_not_stop_the_purge(purging: EdgePurger, there: Edge) -> None:
    writer = asyncio.create_task(Invalidators(purging).invalidate(["a"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writer.cancel()
    await asyncio.sleep(0.02)
    assert there.purged == ["a"]
