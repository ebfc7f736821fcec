from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flightdeck.exits import fail, failing_on
from flightdeck.options import Host, MetricsPort, OptionalDataDir
from flightdeck.server.listener import base_url, listening_socket

if TYPE_CHECKING:
    from service.settings import Settings

GRACEFUL_SHUTDOWN_S: Final = 5
"""For requests in flight at the signal to stop. Container runtimes kill after ten seconds, and exporting the last spans
and logs takes up to three of them."""


def serve(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8000,
    metrics_port: MetricsPort = None,
    data_dir: OptionalDataDir = None,
) -> None:
    """Serve the flights API with the techniques that TECHNIQUES switches on.

    docs/settings.md lists every setting.
    """
    import uvicorn

    from flightdeck.server.draining_server import DrainingServer
    from flightdeck.server.header_limits import HeaderLimitsProtocol
    from observability import TelemetryConfigurationError, TelemetrySettings
    from service.app import create_app
    from service.settings import ConfigurationError, Settings

    with failing_on(ConfigurationError, TelemetryConfigurationError):
        settings = Settings.from_environ(**({"data_dir": data_dir} if data_dir else {}))
        telemetry = TelemetrySettings.from_environ()
    if metrics_port is not None:
        telemetry = telemetry.model_copy(update={"metrics_port": metrics_port})
    is_ready = _is_ready(settings)
    listener = listening_socket(host, port)
    app = create_app(settings, telemetry=telemetry)
    typer.echo(f"{settings.arm} serves on {base_url(listener)}", err=True)
    config = uvicorn.Config(
        app,
        http=HeaderLimitsProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )
    server = DrainingServer(
        config,
        shutdown=app.state.shutdown,
        shutdown_delay_s=settings.shutdown_delay_s,
        startup_check=None if is_ready else partial(_startup_error, settings),
    )
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
    if server.startup_error:
        fail(server.startup_error)


def _is_ready(settings: "Settings") -> bool:
    """Whether the database is; exits with 2 where waiting cannot help: no flights, no embedded database."""
    import asyncio

    from service.core.database_url import is_embedded, parsed
    from service.errors import DatabaseUnreachable, NotReady

    try:
        asyncio.run(_check_database(settings))
    except NotReady as error:
        if is_embedded(parsed(settings.database_url)) or not isinstance(error.__cause__, DatabaseUnreachable):
            fail(str(error))
        typer.echo(f"{error}; not ready, retrying for up to {settings.start_timeout_s:g} s", err=True)
        return False
    return True


async def _startup_error(settings: "Settings") -> str:
    """Return an empty text as soon as the database is ready, or why it is not after `START_TIMEOUT_S`."""
    import asyncio

    from service.errors import NotReady

    deadline = asyncio.get_running_loop().time() + settings.start_timeout_s
    while True:
        try:
            await _check_database(settings)
        except NotReady as error:
            if asyncio.get_running_loop().time() >= deadline:
                return f"gave up after {settings.start_timeout_s:g} s: {error}"
            await asyncio.sleep(min(1.0, settings.start_timeout_s / 4))
        else:
            return ""


async def _check_database(settings: "Settings") -> None:
    from service.database import Database

    database = Database(settings)
    try:
        await database.check()
    finally:
        await database.close()
