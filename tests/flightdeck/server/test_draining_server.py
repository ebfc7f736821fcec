"""uvicorn as `flightdeck serve` runs it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette

from flightdeck.server.draining_server import LeavingServer
from service.api.shutdown import ShutdownState


class Kept:
    """Something that a start leaves behind."""


@pytest.fixture
def nothing_frozen() -> Iterator[None]:
    """Other tests' objects are collected afterwards as before."""
    assert gc.get_freeze_count() == 0
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("nothing_frozen")
async def test_what_a_start_leaves_behind_is_not_looked_through_again() -> None:
    kept: list[Kept] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        kept.append(Kept())
        assert any(one is kept[0] for one in gc.get_objects())
        yield

    config = uvicorn.Config(Starlette(lifespan=lifespan), port=0, log_config=None)
    server = LeavingServer(config, shutdown=ShutdownState(), shutdown_delay_s=0)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 uvicorn has no event for it
        await asyncio.sleep(0.01)
    is_looked_at = any(one is kept[0] for one in gc.get_objects())
    server.should_exit = True
    await serving
    assert not is_looked_at
    assert gc.get_freeze_count() > 0
