"""An application that calls its instrumentation when it is too late, and has no metrics at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    FastAPIInstrumentor.instrument_app(app)
    yield


app = FastAPI(lifespan=lifespan)
