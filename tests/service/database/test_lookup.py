"""An unresolvable replica costs one lookup, however often it is polled."""

import asyncio
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import create_async_engine

from service.database import replica as module
from service.database.replica import Replica, ReplicaMetrics
from service.network.dns import resolve
from tests.service.resolver import GONE, Resolver

pytestmark = pytest.mark.anyio


async def test_an_unresolvable_replica_is_looked_up_once_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch)
    looks = asyncio.Queue[str]()

    async def counted(host: str, port: int) -> None:
        looks.put_nowait(host)
        await resolve(host, port)

    monkeypatch.setattr(module, "resolve", counted)
    monkeypatch.setattr(module, "LOOKUP_TIMEOUT_S", 0.01)
    monkeypatch.setattr(module, "POLL_S", 0.001)
    replica = Replica(
        primary=create_async_engine("postgresql+asyncpg://user@127.0.0.1:1/none"),
        replica=create_async_engine(f"postgresql+asyncpg://user@{GONE}/none"),
        max_lag_s=1,
        metrics=ReplicaMetrics(CollectorRegistry()),
    )
    watching = asyncio.create_task(replica.monitor())
    async with asyncio.timeout(60):
        assert [await looks.get() for _ in range(4)] == [GONE] * 4
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching

    assert resolver.lookups == [GONE]
