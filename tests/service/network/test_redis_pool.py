"""Redis clients share the lookup of the server's name."""

import asyncio

import pytest
from redis.asyncio import BlockingConnectionPool, Connection, ConnectionPool, Redis, SSLConnection
from redis.exceptions import RedisError

from service.network.redis_pool import redis_pool
from tests.servers.redis import RedisServer
from tests.service.resolver import GONE, Resolver


async def test_clients_that_time_out_share_one_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch)
    clients = [
        Redis.from_pool(redis_pool(f"redis://{GONE}", ConnectionPool, socket_connect_timeout=0.01)) for _ in "1234"
    ]

    for _ in range(5):
        results = await asyncio.gather(*(client.ping() for client in clients), return_exceptions=True)
        assert all(isinstance(result, RedisError) for result in results)

    assert resolver.lookups == [GONE]
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize(("scheme", "kind"), [("redis", Connection), ("rediss", SSLConnection)])
def test_a_pool_has_the_options_of_the_url(scheme: str, kind: type[Connection]) -> None:
    pool = redis_pool(f"{scheme}://:secret@cache.example:6380/2", BlockingConnectionPool, max_connections=3)
    connection = pool.connection_class(**pool.connection_kwargs)
    assert isinstance(pool, BlockingConnectionPool)
    assert isinstance(connection, kind)
    assert (connection.host, connection.port, connection.db, pool.max_connections) == ("cache.example", 6380, 2, 3)


async def test_a_resolvable_name_is_connected_to(shared_redis: RedisServer) -> None:
    url = shared_redis.url.replace("127.0.0.1", "localhost")
    assert url != shared_redis.url
    async with Redis.from_pool(redis_pool(url, ConnectionPool)) as client:
        assert await client.ping()
