"""An application that logs in every way: before, while and after it serves."""

import asyncio
import logging
import os
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from observability import instrument


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    logging.getLogger("shop").warning("opening")
    yield
    structlog.get_logger("shop").warning("closing")


app = FastAPI(title="shop", lifespan=lifespan)


class Careless:
    def __del__(self) -> None:
        raise ValueError("in a destructor")


async def fail() -> None:
    raise ValueError("in a task")


@app.get("/noise")
async def noise() -> None:
    warnings.warn("of the warnings module", stacklevel=1)
    thread = threading.Thread(target=int, args=("in a thread",))
    thread.start()
    thread.join()
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
    Careless()


@app.get("/failing")
async def failing() -> None:
    raise ValueError("in a request")


instrument(app)
logging.getLogger("shop").warning("instrumented")

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]))
    raise ValueError("after the server")
