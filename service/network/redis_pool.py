"""Pools of connections to Redis, in which nobody asks for its address while somebody already does."""

import asyncio
from typing import Any, Final, TypeVar

from redis.asyncio import Connection, ConnectionPool, SSLConnection

from service.network.dns import resolve

Pool = TypeVar("Pool", bound=ConnectionPool)


def redis_pool(url: str, kind: type[Pool], **options: Any) -> Pool:
    """Return a pool of that kind for the Redis at `url`; `options` are redis-py's."""
    pool = kind.from_url(url, **options)
    pool.connection_class = _PATIENT.get(pool.connection_class, pool.connection_class)
    return pool


class _Patient(Connection):
    """Connects once the name is found."""

    async def _connect(self) -> None:
        async with asyncio.timeout(self.socket_connect_timeout):
            await resolve(self.host, self.port)
        await super()._connect()  # type: ignore[no-untyped-call]  # redis-py forgot to annotate it


class _PatientTls(_Patient, SSLConnection):
    """The same with TLS."""


_PATIENT: Final[dict[type, type]] = {Connection: _Patient, SSLConnection: _PatientTls}
