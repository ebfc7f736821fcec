"""Counters in Redis, by its asyncio client."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from redis.asyncio import Redis

client = Redis.from_url(os.environ["REDIS_URL"])


@asynccontextmanager
async def closing(_: FastAPI) -> AsyncIterator[None]:
    yield
    await client.aclose()


app = FastAPI(title="counter", lifespan=closing)
router = APIRouter(prefix="/counters")
DEPENDENCIES = {"redis": [client]}


@router.post("/{name}")
async def increment(name: str) -> int:
    return int(await client.incr(name))


@router.get("/{name}")
async def value(name: str) -> int:
    return int(await client.get(name) or 0)


app.include_router(router)
