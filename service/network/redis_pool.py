"""Redis connection pools that resolve the name of the server once for concurrent connects."""

import asyncio
from typing import Any, Final, TypeVar

from redis.asyncio import Connection, ConnectionPool, SSLConnection

from service.network.dns import resolve

Pool = TypeVar("Pool", bound=ConnectionPool)


def redis_pool(url: str, kind: type[Pool], **options: Any) -> Pool:
    """Return a pool of this class for the Redis at `url`; `options` are redis-py's."""
    pool = kind.from_url(url, **options)
    pool.connection_class = _RESOLVING.get(pool.connection_class, pool.connection_class)
    return pool


class _ResolvingConnection(Connection):
    async def _connect(self) -> None:
        async with asyncio.timeout(self.socket_connect_timeout):
            await resolve(self.host, self.port)
        await super()._connect()  # type: ignore[no-untyped-call]  # redis-py forgot to annotate it


class _ResolvingTlsConnection(_ResolvingConnection, SSLConnection):
    pass


_RESOLVING: Final[dict[type, type]] = {Connection: _ResolvingConnection, SSLConnection: _ResolvingTlsConnection}
