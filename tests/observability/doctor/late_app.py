"""An application that calls its instrumentation when it is too late, and has no metrics at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    FastAPIInstrumentor.instrument_app(app)
    yield


inner = APIRouter()
router = APIRouter()


@inner.get("/books")
async def books() -> None: ...


@inner.get("/magazines")
async def magazines() -> None: ...


@router.get("/authors")
async def authors() -> None: ...


router.include_router(inner, prefix="/inner")
app = FastAPI(lifespan=lifespan)
app.include_router(router, prefix="/outer")
