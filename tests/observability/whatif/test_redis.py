"""Connects and commands of redis-py clients, against a server whose every response is OK."""

import asyncio
import socket
from collections.abc import Iterator
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import pytest
import redis
import redis.asyncio
from fastapi import FastAPI
from prometheus_client import generate_latest
from redis.backoff import NoBackoff
from redis.retry import Retry

from observability.testing import CapturedTelemetry, capture_telemetry

HOST = "127.0.0.1"
PASSWORD = "hunter2-secret"


class OkHandler(StreamRequestHandler):
    def handle(self) -> None:
        while line := self.rfile.readline():
            command, *_ = [self._word() for _ in range(int(line[1:]))]
            self.server.seen.append(command.decode())  # type: ignore[attr-defined]  # of the subclass below
            self.wfile.write(b"+OK\r\n")

    def _word(self) -> bytes:
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:size]


class OkServer(ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), OkHandler)
        self.seen: list[str] = []
        """Names of the commands."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@pytest.fixture
def server() -> Iterator[OkServer]:
    with OkServer() as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def captured() -> Iterator[CapturedTelemetry]:
    with capture_telemetry() as telemetry:
        yield telemetry


def synchronous(client: Any) -> None:
    for _ in range(3):
        client.get("key")
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(4):
            pipeline.get("key")
        pipeline.execute()
    client.connection_pool.disconnect()
    client.get("key")
    client.close()


def asynchronous(client: Any) -> None:
    async def commands() -> None:
        for _ in range(3):
            await client.get("key")
        async with client.pipeline(transaction=False) as pipeline:
            for _ in range(4):
                pipeline.get("key")
            await pipeline.execute()
        await client.connection_pool.disconnect()
        await client.get("key")
        await client.aclose()

    asyncio.run(commands())


@pytest.mark.parametrize(
    ("module", "run"), [(redis, synchronous), (redis.asyncio, asynchronous)], ids=["sync", "asyncio"]
)
def test_connects_and_commands_of_pipelines_too_are_counted_without_the_handshake(
    captured: CapturedTelemetry, server: OkServer, module: Any, run: Any
) -> None:
    client = module.Redis(host=HOST, port=server.port, db=2, password=PASSWORD, protocol=2)
    captured.instrument(FastAPI(), whatif=True, redis=[client])
    run(client)
    labels = {"server": f"{HOST}:{server.port}/2"}
    assert captured.value("whatif_redis_connects_total", **labels) == server.seen.count("SELECT") == 2
    assert captured.value("whatif_redis_commands_total", **labels) == server.seen.count("GET") == 8
    assert "AUTH" in server.seen
    assert captured.value("whatif_redis_connect_seconds_total", **labels) > 0
    assert captured.value("whatif_redis_command_seconds_total", **labels) > 0
    assert PASSWORD not in generate_latest(captured.registry).decode()


def test_the_latest_application_counts_and_without_whatif_the_pool_is_left_alone(server: OkServer) -> None:
    client = redis.Redis(host=HOST, port=server.port, protocol=2)
    plain = client.connection_pool.connection_class
    with capture_telemetry() as first, capture_telemetry() as second, capture_telemetry() as without:
        without.instrument(FastAPI(), redis=[client])
        assert client.connection_pool.connection_class is plain
        first.instrument(FastAPI(), whatif=True, redis=[client])
        second.instrument(FastAPI(), whatif=True, redis=[client])
        client.get("key")
        client.close()
        assert first.value("whatif_redis_commands_total") == 0
        assert second.value("whatif_redis_commands_total") == second.value("whatif_redis_connects_total") == 1


def test_a_failed_connect_is_none(captured: CapturedTelemetry) -> None:
    with socket.socket() as reserved:  # bound, not listening
        reserved.bind((HOST, 0))
        client = redis.Redis(host=HOST, port=reserved.getsockname()[1], retry=Retry(NoBackoff(), 0))
        captured.instrument(FastAPI(), whatif=True, redis=[client])
        with pytest.raises(redis.ConnectionError):
            client.get("key")
    assert captured.value("whatif_redis_connects_total") == captured.value("whatif_redis_commands_total") == 0
