"""A third-party service with one fault: `python -m lab.drills.environments.third_party_app FAULT PORT`.

The flights service has neither fault, and gets none for the sake of a drill.
"""

import asyncio
import secrets
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry

from observability import instrument
from observability.cache.compression import CompressionMetrics

LEAK_BYTES_PER_S: Final = 400_000
PHOTO_BYTES: Final = 1_000_000
BEST_COMPRESSION: Final = 9
"""zlib's highest level."""


def leak() -> FastAPI:
    """Return an application with a memory leak."""

    async def allocate() -> None:
        leaked: list[bytearray] = []
        while True:
            leaked.append(bytearray(secrets.token_bytes(LEAK_BYTES_PER_S // 10)))
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(allocate())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    app = FastAPI(lifespan=lifespan)
    instrument(app)
    return app


def incompressible() -> FastAPI:
    """Return an application that compresses a photo, which is compressed already."""
    app, registry = FastAPI(), CollectorRegistry()
    metrics = CompressionMetrics(registry)
    photo = secrets.token_bytes(PHOTO_BYTES)  # to a compressor the same as a JPEG

    @app.get("/photo")
    def get_photo() -> Response:
        started = perf_counter()
        body = zlib.compress(photo, BEST_COMPRESSION)
        seconds = perf_counter() - started
        metrics.observe(encoding="deflate", before_bytes=len(photo), after_bytes=len(body), seconds=seconds)
        return Response(body, media_type="image/jpeg", headers={"Content-Encoding": "deflate"})

    instrument(app, registry=registry)
    return app


FAULTS: Final = {"leak": leak, "incompressible": incompressible}


if __name__ == "__main__":
    uvicorn.run(FAULTS[sys.argv[1]](), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
