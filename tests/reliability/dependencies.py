"""The service with its dependencies, each behind a proxy that injects network faults."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

from sqlalchemy import URL

from observability.testing.error_server import ErrorServer
from service.database import Database
from service.upstream.app import create_upstream
from service.upstream.behaviour import Behaviour, FaultController
from service.upstream.connections import Connections
from service.upstream.readings import Readings, load_readings
from tests.servers.arm import arm_settings
from tests.servers.asgi import serving
from tests.servers.export_worker import running_worker
from tests.servers.otlp import collecting
from tests.servers.port import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServiceProcess, service_process
from tests.servers.proxy import Proxy, proxying
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.servers.varnish import varnish

SLOW_S = 0.2
CUT_AFTER_BYTES = 300
RESTART_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Servers:
    """The real servers that the service depends on."""

    primary: PostgresServer
    replica: PostgresServer
    redis: RedisServer
    rabbitmq: RabbitServer


@dataclass(frozen=True)
class Dependency:
    """A dependency of the service, and the faults that can be injected."""

    proxy: Proxy
    server: PostgresServer | RedisServer | RabbitServer | None = None

    def stopped(self) -> None:
        """Refuse new connections and abort open ones."""
        self.proxy.stop()

    def paused(self) -> None:
        """Do not respond: stop the process if it is a real server, else the network."""
        if self.server is not None:
            self.server.freeze()
        else:
            self.proxy.pause()

    def slowed(self) -> None:
        """Delay all data in both directions."""
        self.proxy.slow(SLOW_S)

    def cut(self) -> None:
        """Abort every connection in the middle of a response."""
        self.proxy.cut(CUT_AFTER_BYTES)

    def restarted(self) -> None:
        """Be down for a moment."""
        self.proxy.stop()
        sleep(RESTART_S)
        self.proxy.restore()

    def restore(self) -> None:
        """End every fault."""
        if self.server is not None:
            self.server.thaw()
        self.proxy.restore()


FAULTS: Mapping[str, Callable[[Dependency], None]] = {
    "stopped": Dependency.stopped,
    "paused": Dependency.paused,
    "slowed": Dependency.slowed,
    "cut": Dependency.cut,
    "restarted": Dependency.restarted,
}


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A running service and worker, and their dependencies by name."""

    service: ServiceProcess
    dependencies: Mapping[str, Dependency]
    primary: PostgresServer
    database: str
    """Its name on the primary."""
    exports: Path


@contextmanager
def running_environment(
    servers: Servers, *, database: URL, data_dir: Path, varnish_program: str, directory: Path
) -> Iterator[Environment]:
    """Yield the service once it is ready; `database` is on the primary and the replica."""
    with ExitStack() as stack:
        upstream = stack.enter_context(serving(_upstream(data_dir)))
        collector = stack.enter_context(collecting())
        errors = stack.enter_context(ErrorServer())
        port, edge_port = free_port(), free_port()

        def behind(target_port: int, server: Any = None) -> Dependency:
            return Dependency(stack.enter_context(proxying(target_port)), server)

        found = {
            "primary": behind(servers.primary.port, servers.primary),
            "replica": behind(servers.replica.port, servers.replica),
            "redis": behind(servers.redis.port, servers.redis),
            "rabbitmq": behind(servers.rabbitmq.port, servers.rabbitmq),
            "upstream": behind(_port(upstream)),
            "collector": behind(_port(collector.endpoint)),
            "error server": behind(_port(errors.dsn.rpartition("/")[0])),
            "edge": behind(edge_port),
        }
        ports = {name: one.proxy.port for name, one in found.items()}
        exports = directory / "exports"
        environment = {
            "DATABASE_URL": database.set(port=ports["primary"]).render_as_string(hide_password=False),
            "DATABASE_REPLICA_URL": database.set(port=ports["replica"]).render_as_string(hide_password=False),
            "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
            "CELERY_BROKER_URL": f"amqp://guest:guest@127.0.0.1:{ports['rabbitmq']}//",
            "WEATHER_URL": f"http://127.0.0.1:{ports['upstream']}",
            "EDGE_URL": f"http://127.0.0.1:{ports['edge']}",
            "SENTRY_DSN": f"http://public@127.0.0.1:{ports['error server']}/1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports['collector']}",
            "OTEL_TRACES_EXPORTER": "otlp",
            "EXPORT_DIR": str(exports),
            "EXPORT_LEASE_S": "2",
            "EXPORT_RATE_LIMIT": "none",
        }
        log = directory / "service.log"
        service = stack.enter_context(service_process(directory, log=log, port=port, **environment))
        (directory / "edge").mkdir()
        stack.enter_context(varnish(varnish_program, directory / "edge", service_url=service.url, port=edge_port))
        stack.enter_context(running_worker(directory, log=directory / "worker.log", **environment))
        yield Environment(
            service=service,
            dependencies=found,
            primary=servers.primary,
            database=str(database.database),
            exports=exports,
        )
        for one in found.values():
            one.restore()


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def _upstream(data_dir: Path) -> Any:
    async def readings() -> Readings:
        async with AsyncExitStack() as stack:
            database = Database(arm_settings("none", data_dir))
            stack.push_async_callback(database.close)
            return await load_readings(database)

    faults = FaultController(Behaviour(median_ms=1, p99_ms=2))
    return create_upstream(asyncio.run(readings()), faults, connections=Connections(), random=Random(1))
