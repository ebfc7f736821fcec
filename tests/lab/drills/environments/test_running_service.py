"""Drills by a proxy: the proxy itself, and what stops a drill before its fault; whole drills are in tests/lab/kit."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.arms.ports import free_ports
from lab.drills.environments.running_service import SERVICE_DRILLS
from lab.drills.faults.debug_endpoint import DebugEndpoint
from lab.drills.faults.proxy import Proxy
from lab.drills.run.errors import DrillError
from lab.kit.discovery import discovered
from lab.kit.slo_file import slo_text
from prometheus.generated import ROOT
from tests.lab.kit.services import ORDERS
from tests.servers.asgi import serving


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what came once the client has ended its side."""
    writer.write(await reader.read())
    writer.close()


@pytest.mark.anyio
async def test_a_proxy_forwards_until_it_is_down_and_again_afterwards() -> None:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        (port,) = free_ports(1)
        proxy = Proxy(("127.0.0.1", port), server.sockets[0].getsockname())

        async def echoed() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x" * 200_000)
            writer.write_eof()
            try:
                return await reader.read()
            finally:
                writer.close()

        async with proxy.running():
            assert len(await echoed()) == 200_000
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with proxy.injected():
                with pytest.raises(ConnectionRefusedError):
                    await echoed()
                assert await reader.read() == b""
                writer.close()
            assert len(await echoed()) == 200_000


@pytest.mark.anyio
async def test_an_address_in_use_is_an_error() -> None:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        with pytest.raises(DrillError, match=f"the proxy cannot listen on 127.0.0.1:{address[1]}: "):
            async with Proxy(address, address).running():
                pass


@pytest.mark.anyio
async def test_a_connection_to_a_target_that_is_down_is_closed() -> None:
    port, nothing = free_ports(2)
    async with Proxy(("127.0.0.1", port), ("127.0.0.1", nothing)).running():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


@pytest.fixture
def slo(tmp_path: Path) -> Path:
    path = tmp_path / "slo.toml"
    path.write_text(slo_text(discovered(ORDERS), job="orders", targets=["127.0.0.1:9465"]), "utf-8")
    return path


@pytest.fixture
def prometheus() -> Iterator[str]:
    """The URL of a Prometheus that has loaded the alerts of another service."""

    async def rules(_: Request) -> JSONResponse:
        groups = [{"rules": [{"name": "BillingServiceDown", "duration": 1}]}]
        return JSONResponse({"status": "success", "data": {"groups": groups}})

    with serving(Starlette(routes=[Route("/api/v1/rules", rules)])) as url:
        yield url


def failed(*arguments: str | Path, code: int) -> str:
    done = CliRunner().invoke(app, ["kit", "drill", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.stderr.strip()


def test_an_alert_that_prometheus_has_not_loaded_is_named(slo: Path, prometheus: str) -> None:
    said = failed(
        *("service-down", "--listen", "localhost:9465", "--forward", "localhost:9464"),
        *("--slo", slo, "--prometheus", prometheus),
        code=1,
    )
    assert said.startswith("Prometheus has not loaded the alert OrdersServiceDown: add the kit to rule_files")


def test_a_prometheus_that_does_not_respond_is_an_error(slo: Path) -> None:
    said = failed(
        *("service-down", "--listen", "localhost:9465", "--forward", "localhost:9464"),
        *("--slo", slo, "--prometheus", "http://127.0.0.1:1"),
        code=1,
    )
    assert said.startswith("http://127.0.0.1:1 does not respond like Prometheus: ")


def test_an_unknown_drill_is_an_error_that_lists_the_known_ones() -> None:
    said = failed("earthquake", "--listen", "localhost:9465", "--forward", "localhost:9464", code=2)
    assert said == "no drill earthquake; there are " + ", ".join(SERVICE_DRILLS)


def test_a_proxy_needs_its_addresses() -> None:
    said = failed("service-down", "--listen", "localhost:9465", code=2)
    assert said == "service-down needs a proxy: name its addresses with --listen and --forward"


@pytest.mark.anyio
async def test_a_service_whose_debug_endpoint_is_off_is_an_error() -> None:
    metrics_at_every_path = Starlette(routes=[Route("/{path:path}", lambda _: JSONResponse({}))])
    with serving(metrics_at_every_path) as url, pytest.raises(DrillError, match="with OBSERVABILITY_FAULTS=true"):
        async with DebugEndpoint(f"{url}/metrics", "pool", seconds=1.0, pause_s=1.0).running():
            pass


@pytest.mark.anyio
async def test_what_the_debug_endpoint_rejects_is_an_error() -> None:
    def respond(request: Request) -> JSONResponse:
        return JSONResponse("no engine is observed", status_code=405 if request.method == "GET" else 404)

    with serving(Starlette(routes=[Route("/debug/faults/pool", respond, methods=["GET", "POST"])])) as url:
        endpoint = DebugEndpoint(url, "pool", seconds=1.0, pause_s=1.0)
        async with endpoint.running():
            with pytest.raises(DrillError, match="no engine is observed"):
                async with endpoint.injected():
                    pass


@pytest.mark.parametrize("address", ["localhost", ":9464", "localhost:metrics", "localhost:65536"])
def test_an_address_that_cannot_be(address: str) -> None:
    said = failed("service-down", "--listen", "localhost:9465", "--forward", address, code=2)
    assert said.startswith(f"{address!r} is not an address HOST:PORT")


def test_the_page_has_every_drill_with_its_alert() -> None:
    page = (ROOT / "docs/kit.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()]
    for drill in SERVICE_DRILLS.values():
        assert [row[2] for row in rows if row[0] == f"`{drill.name}`"] == [f"`{drill.alerts[0].split()[0]}`"]


@pytest.mark.parametrize("steps", range(6))
def test_a_proxy_that_stops_closes_connections_that_it_has_just_accepted(steps: int) -> None:
    """Steps of the loop pass between the connection and the end of the proxy; pytest fails for an unclosed socket."""
    port, target_port = free_ports(2)

    async def connect(client: socket.socket) -> None:
        async with Proxy(("127.0.0.1", port), ("127.0.0.1", target_port)).running():
            client.connect(("127.0.0.1", port))
            for _ in range(steps):
                await asyncio.sleep(0)

    with socket.create_server(("127.0.0.1", target_port)), socket.socket() as client:
        asyncio.run(connect(client))
    gc.collect()
