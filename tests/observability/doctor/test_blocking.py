import asyncio
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
import redis
import redis.asyncio
from fastapi import Depends
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from observability.doctor.blocking import blocking_calls
from observability.doctor.check import CouldNotLook

engine = create_engine("sqlite://")
async_engine = create_async_engine("sqlite+aiosqlite://")
sessions = sessionmaker(engine)
store = redis.Redis()
async_store = redis.asyncio.Redis()
client = httpx.Client()
async_client = httpx.AsyncClient()


async def sleeps() -> None:
    time.sleep(1)  # noqa: ASYNC251 what is to be found


async def fetches() -> None:
    httpx.get("http://localhost")  # noqa: ASYNC210 the same


async def opens() -> None:
    urllib.request.urlopen("http://localhost")  # noqa: ASYNC210 the same


async def runs() -> None:
    subprocess.run(["true"], check=True)  # noqa: ASYNC221, S607 the same


async def reads() -> None:
    sqlite3.connect("x.db")


async def uses_a_global_client() -> None:
    client.get("http://localhost")  # noqa: ASYNC212 the same


async def uses_a_store() -> None:
    store.get("key")


async def makes_a_client() -> None:
    with httpx.Client() as own:
        own.get("http://localhost")  # noqa: ASYNC212 the same


async def queries() -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))


async def uses_a_session_factory() -> None:
    with sessions() as session:
        session.execute(text("SELECT 1"))


async def takes_a_session(session: Annotated[Session, Depends(sessions)]) -> None:
    session.execute(text("SELECT 1"))


def from_a_closure() -> Callable[..., Any]:
    wait = time.sleep

    async def sleeps_inside() -> None:
        wait(1)

    return sleeps_inside


@pytest.mark.parametrize(
    "function",
    [
        *(sleeps, fetches, opens, runs, reads, uses_a_global_client, uses_a_store, makes_a_client, queries),
        *(uses_a_session_factory, takes_a_session, from_a_closure()),
    ],
    ids=lambda function: function.__name__,
)
def test_a_blocking_call_is_found_once(function: Callable[..., Any]) -> None:
    (found,) = blocking_calls(function)
    assert found.startswith(f"{__name__}.")


def waits_in_a_thread() -> None:
    time.sleep(1)


async def awaits() -> None:
    await asyncio.sleep(1)
    await async_client.get("http://localhost")
    await async_store.get("key")
    async with async_engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def passes_it_to_a_thread() -> None:
    await asyncio.to_thread(time.sleep, 1)
    await asyncio.to_thread(lambda: time.sleep(1))

    def later() -> None:
        time.sleep(1)

    await asyncio.to_thread(later)


async def takes_an_asynchronous_session(session: AsyncSession) -> None:
    await session.execute(text("SELECT 1"))


@pytest.mark.parametrize(
    "function",
    [waits_in_a_thread, awaits, passes_it_to_a_thread, takes_an_asynchronous_session],
    ids=lambda function: function.__name__,
)
def test_what_does_not_block_is_not_found(function: Callable[..., Any]) -> None:
    assert list(blocking_calls(function)) == []


def test_a_function_without_source_could_not_be_looked_at() -> None:
    scope: dict[str, Any] = {}
    exec("async def made():\n    import time\n    time.sleep(1)", scope)  # noqa: S102 made up here
    with pytest.raises(CouldNotLook, match="made has no source to read"):
        list(blocking_calls(scope["made"]))
