from typing import Annotated

import typer

from flightdeck.exits import failing_on
from flightdeck.options import Host, OptionalDataDir, finite
from flightdeck.server.listener import listening_socket


def upstream(  # noqa: PLR0913, PLR0917 each is an option of the command
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8090,
    median_ms: Annotated[
        float, typer.Option(envvar="UPSTREAM_MEDIAN_MS", callback=finite, help="Median latency, in ms.")
    ] = 25.0,
    p99_ms: Annotated[
        float, typer.Option(envvar="UPSTREAM_P99_MS", callback=finite, help="p99 latency, in ms.")
    ] = 120.0,
    failure_rate: Annotated[
        float,
        typer.Option(
            envvar="UPSTREAM_FAILURE_RATE",
            callback=finite,
            help="Share of requests that fail with 503, from 0 to 1.",
        ),
    ] = 0.0,
    hang_s: Annotated[
        float,
        typer.Option(
            envvar="UPSTREAM_HANG_S", callback=finite, help="Seconds of silence before a response that hangs."
        ),
    ] = 0.0,
    hang_share: Annotated[
        float,
        typer.Option(envvar="UPSTREAM_HANG_SHARE", callback=finite, help="Share of responses that hang, from 0 to 1."),
    ] = 1.0,
    data_dir: OptionalDataDir = None,
    seed: Annotated[int | None, typer.Option(help="Random seed of the latencies (default: random).")] = None,
) -> None:
    """Serve a fake weather API with configurable latency and faults.

    It serves the hourly weather of the database. `PUT /admin/behaviour` changes latency and faults at run time.
    """
    import asyncio
    from random import Random

    from pydantic import ValidationError

    from service.database import Database
    from service.errors import ServiceError
    from service.settings import ConfigurationError, Settings
    from service.upstream.behaviour import Behaviour
    from service.upstream.server import serve

    try:
        behaviour = Behaviour(
            median_ms=median_ms, p99_ms=p99_ms, failure_rate=failure_rate, hang_s=hang_s, hang_share=hang_share
        )
    except ValidationError as error:
        raise typer.BadParameter("; ".join(str(problem["msg"]) for problem in error.errors())) from error
    random = Random(seed)  # noqa: S311 latencies, not secrets
    with failing_on(ServiceError, ConfigurationError):
        database = Database(Settings.from_environ(**({"data_dir": data_dir} if data_dir else {})))
        asyncio.run(serve(database, behaviour, listener=listening_socket(host, port), random=random))
