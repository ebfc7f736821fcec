"""Redis connection pools that resolve the name of the server once for concurrent connects."""

import asyncio
from typing import Any, Final, TypeVar

from redis.asyncio import Connection, ConnectionPool, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.network.dns import resolve

Pool = TypeVar("Pool", bound=ConnectionPool)


def redis_pool(url: str, kind: type[Pool], **options: Any) -> Pool:
    """Return a pool of this class for the Redis at `url`; `options` are redis-py's."""
    pool = kind.from_url(url, **options)
    pool.connection_class = _RESOLVING.get(pool.connection_class, pool.connection_class)
    return pool


class _ResolvingConnection(Connection):
    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        if not self.is_connected:
            try:
                async with asyncio.timeout(self.socket_connect_timeout):
                    await resolve(self.host, self.port)
            except TimeoutError as error:
                raise RedisTimeoutError(f"resolving {self.host} timed out") from error
            except OSError as error:
                raise RedisConnectionError(f"cannot resolve {self.host}: {error}") from error
        await super().connect_check_health(check_health, retry_socket_connect)


class _ResolvingTlsConnection(_ResolvingConnection, SSLConnection):
    pass


_RESOLVING: Final[dict[type, type]] = {Connection: _ResolvingConnection, SSLConnection: _ResolvingTlsConnection}
