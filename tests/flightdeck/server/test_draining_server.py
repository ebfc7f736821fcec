import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette

from flightdeck.server.draining_server import DrainingServer
from service.api.shutdown import ShutdownState


class Allocated:
    """An object that the start allocates."""


async def test_objects_of_the_start_are_not_traversed_by_the_garbage_collector() -> None:
    allocated: list[Allocated] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        allocated.append(Allocated())
        assert any(one is allocated[0] for one in gc.get_objects())
        yield

    config = uvicorn.Config(Starlette(lifespan=lifespan), port=0, log_config=None)
    server = DrainingServer(config, shutdown=ShutdownState(), shutdown_delay_s=0)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 uvicorn has no event for it
        await asyncio.sleep(0.01)
    is_traversed = any(one is allocated[0] for one in gc.get_objects())
    server.should_exit = True
    await serving
    assert not is_traversed
    assert gc.get_freeze_count() > 0
