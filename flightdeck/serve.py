"""`flightdeck serve`: one arm of the service under uvicorn."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from socket import socket

    from service.settings import Settings

GRACE_S = 5
"""How long requests that are being answered may take after the signal to stop. Container runtimes kill after ten
seconds, and the last spans and logs take up to three of them."""


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any.")] = 8000,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the metrics; by default OTEL_EXPORTER_PROMETHEUS_PORT, or 9464. 0 takes any.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the embedded databases are; by default DATA_DIR, or .flightdeck.")
    ] = None,
) -> None:
    """Serve the flights with the techniques that TECHNIQUES switches on; docs/settings.md lists every variable."""
    import uvicorn

    from flightdeck.server.draining_server import LeavingServer
    from flightdeck.server.header_limits import BoundedHead
    from observability import TelemetryConfigurationError, TelemetrySettings
    from service.app import create_app
    from service.settings import ConfigurationError, Settings

    try:
        settings = Settings.from_environ(**({"data_dir": data_dir} if data_dir else {}))
        telemetry = TelemetrySettings.from_environ()
    except (ConfigurationError, TelemetryConfigurationError) as error:
        _refuse(str(error))
    if metrics_port is not None:
        telemetry = telemetry.model_copy(update={"metrics_port": metrics_port})
    missing = _missing(settings)
    listener = _listening(host, port)
    app = create_app(settings, telemetry=telemetry)
    address, taken_port = listener.getsockname()[:2]
    typer.echo(
        f"{settings.arm} serves on http://{f'[{address}]' if ':' in address else address}:{taken_port}", err=True
    )
    config = uvicorn.Config(
        app,
        http=BoundedHead,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = LeavingServer(config, shutdown=app.state.shutdown, shutdown_delay_s=settings.shutdown_delay_s)
    if missing:
        server.required = partial(_given_up, settings)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
    if server.gave_up:
        _refuse(server.gave_up)


def _missing(settings: "Settings") -> str:
    """Return what is missing and may still come; refuse the start without flights, which nobody will bring."""
    import asyncio

    from service.core.database_url import is_embedded, parsed
    from service.errors import DatabaseUnreachable, NotReady

    try:
        asyncio.run(_check(settings))
    except NotReady as error:
        if is_embedded(parsed(settings.database_url)) or not isinstance(error.__cause__, DatabaseUnreachable):
            _refuse(str(error))
        typer.echo(f"{error}; serving, but not ready, for {settings.start_timeout_s:g} s at most", err=True)
        return str(error)
    return ""


async def _given_up(settings: "Settings") -> str:
    """Return why the start is given up, or nothing as soon as what was missing is there."""
    import asyncio

    from service.errors import NotReady

    deadline = asyncio.get_running_loop().time() + settings.start_timeout_s
    while True:
        try:
            await _check(settings)
        except NotReady as error:
            if asyncio.get_running_loop().time() >= deadline:
                return f"gave up after {settings.start_timeout_s:g} s: {error}"
            await asyncio.sleep(min(1.0, settings.start_timeout_s / 4))
        else:
            return ""


async def _check(settings: "Settings") -> None:
    from service.database import Database

    database = Database(settings)
    try:
        await database.check()
    finally:
        await database.close()


def _listening(host: str, port: int) -> "socket":
    """Return a socket that is bound to the address, before anything else is started."""
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        _refuse(f"can not listen on {host} port {port}: {error.strerror or error}")
    return listener


def _refuse(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(2)
