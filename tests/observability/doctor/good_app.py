"""An application that is instrumented as documented."""

import asyncio
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from observability import TelemetrySettings, instrument

engine = create_engine("sqlite://")
async_engine = create_async_engine("sqlite+aiosqlite://")
sessions = async_sessionmaker(async_engine)
client = httpx.AsyncClient()
app = FastAPI(title="bookshop")


async def session() -> AsyncSession:
    return sessions()


@app.get("/")
async def start(session: Annotated[AsyncSession, Depends(session)]) -> int:
    async with session:
        await asyncio.sleep(0)
        return len((await session.execute(text("SELECT 1"))).all())


@app.get("/sync")
def sync() -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))


router = APIRouter()


@router.get("/included")
async def included() -> None: ...


app.include_router(router)
instrument(
    app,
    engines={"primary": engine, "async": async_engine},
    settings=TelemetrySettings(metrics_port=0, slo_thresholds_s=(0.25,)),
)
