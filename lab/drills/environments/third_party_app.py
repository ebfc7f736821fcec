"""A third-party service with one fault: `python -m lab.drills.environments.third_party_app FAULT PORT`.

The flights service has neither fault, and none is built into it for the sake of a drill.
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

LEAKED_BYTES_PER_S: Final = 400_000
PHOTO_BYTES: Final = 1_000_000
SLOWEST: Final = 9
"""zlib's level: what somebody chose who wanted the best."""


@asynccontextmanager
async def leaking(_: FastAPI) -> AsyncIterator[None]:
    """Keep everything that was ever seen."""
    kept: list[bytearray] = []

    async def leak() -> None:
        while True:
            kept.append(bytearray(secrets.token_bytes(LEAKED_BYTES_PER_S // 10)))
            await asyncio.sleep(0.1)

    task = asyncio.create_task(leak())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def leak() -> FastAPI:
    """Return an application whose memory only grows."""
    app = FastAPI(lifespan=leaking)
    instrument(app)
    return app


def incompressible() -> FastAPI:
    """Return an application that compresses what is compressed already."""
    app, registry = FastAPI(), CollectorRegistry()
    metrics = CompressionMetrics(registry)
    photo = secrets.token_bytes(PHOTO_BYTES)  # looks like any JPEG to a compressor

    @app.get("/photo")
    def get_photo() -> Response:
        started = perf_counter()
        body = zlib.compress(photo, SLOWEST)
        seconds = perf_counter() - started
        metrics.observe(encoding="deflate", before_bytes=len(photo), after_bytes=len(body), seconds=seconds)
        return Response(body, media_type="image/jpeg", headers={"Content-Encoding": "deflate"})

    instrument(app, registry=registry)
    return app


FAULTS: Final = {"leak": leak, "incompressible": incompressible}


if __name__ == "__main__":
    uvicorn.run(FAULTS[sys.argv[1]](), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
