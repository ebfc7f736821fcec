"""Distance between arms and their servers: the arms reach them through a proxy that adds round-trip time."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

from lab.arms.delay_proxy import ProxiedServer
from lab.arms.ports import free_ports
from lab.arms.process import SupervisedProcess
from lab.core.command import MODULE
from lab.core.errors import BadSetting, NoDistance

VARIABLES: Final = (
    "DATABASE_URL",
    "DATABASE_UNINDEXED_URL",
    "DATABASE_REPLICA_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "WEATHER_URL",
)
"""Settings of an arm that name the servers it calls while it serves requests."""
PORTS: Final = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "amqp": 5672, "http": 80}
WITH_TLS: Final = frozenset({"rediss", "amqps", "https"})
"""Their certificates are not those of the proxy's address."""


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """A server that an arm reaches over the network, as its setting names it."""

    url: str
    host: str
    port: int

    @classmethod
    def of(cls, variable: str, url: str) -> Self | None:
        """Return the server of a setting, None for a file or a Unix socket.

        Raises:
            BadSetting: it names several hosts or none, or TLS that verifies the host.
        """
        scheme = url.partition(":")[0].partition("+")[0]
        if scheme not in PORTS and scheme not in WITH_TLS:
            return None
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or PORTS.get(scheme, 0)
        except ValueError:  # several hosts, each with a port
            host, port, is_verified = "", 0, False
        else:
            query = parse_qs(parts.query)
            modes = [mode for name in ("ssl", "sslmode") for mode in query.get(name, ())]
            is_verified = scheme in WITH_TLS or any(mode.startswith("verify") for mode in modes)
        if not host or "," in host or is_verified:
            raise BadSetting(
                variable, f"{scheme}://…", "a URL with one host and no verified TLS, which a distance needs"
            )
        return cls(url, host, port)

    def through(self, port: int) -> str:
        """Return the URL that leads through a port of 127.0.0.1."""
        parts = urlsplit(self.url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))


@asynccontextmanager
async def at_distance(round_trip_s: float, settings: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """Run the proxy and yield the settings whose servers are reached through it.

    Raises:
        ArmFailed: the proxy does not start.
        BadSetting: a server cannot be reached through a proxy.
        NoDistance: no setting names a server.
    """
    found = {variable: RemoteServer.of(variable, settings.get(variable, "")) for variable in VARIABLES}
    servers = {variable: server for variable, server in found.items() if server is not None}
    if not servers:
        raise NoDistance("no server is reached over the network, so that a distance changes nothing")
    ports = dict(zip(servers, free_ports(len(servers)), strict=True))
    proxied = [ProxiedServer(server.host, server.port, ports[variable]) for variable, server in servers.items()]
    process = SupervisedProcess("distance proxy")
    try:
        await process.start(
            (*MODULE, "lab.arms.delay_proxy", "--round-trip-s", str(round_trip_s), *map(str, proxied)),
            environment=os.environ,
        )
        for server in proxied:
            await process.wait_until_listening(server.at)
        yield {variable: server.through(ports[variable]) for variable, server in servers.items()}
    finally:
        await process.stop()
