"""`flightdeck upstream`: the weather API that the service calls, with the latency and the faults it is told to have."""

from pathlib import Path
from typing import Annotated

import typer


def upstream(  # noqa: PLR0913, PLR0917 each is an option of the command
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8090,
    median_ms: Annotated[float, typer.Option(envvar="UPSTREAM_MEDIAN_MS", help="Median latency.")] = 25.0,
    p99_ms: Annotated[float, typer.Option(envvar="UPSTREAM_P99_MS", help="99th percentile of the latency.")] = 120.0,
    failure_rate: Annotated[float, typer.Option(envvar="UPSTREAM_FAILURE_RATE", help="Share answered 503.")] = 0.0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the embedded database is; by default DATA_DIR, or .flightdeck.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Repeat the same latencies; random by default.")] = None,
) -> None:
    """Serve the hourly weather of the database; `PUT /admin/behaviour` changes latency and faults at run time."""
    import asyncio
    from random import Random

    from pydantic import ValidationError

    from service.database import Database
    from service.errors import ServiceError
    from service.settings import ConfigurationError, Settings
    from service.upstream.behaviour import Behaviour
    from service.upstream.server import serve

    try:
        behaviour = Behaviour(median_ms=median_ms, p99_ms=p99_ms, failure_rate=failure_rate)
    except ValidationError as error:
        raise typer.BadParameter("; ".join(str(problem["msg"]) for problem in error.errors())) from error
    instead = {"data_dir": data_dir} if data_dir else {}
    random = Random(seed)  # noqa: S311 latencies, not secrets
    try:
        database = Database(Settings.from_environ(**instead))
        asyncio.run(serve(database, behaviour, host=host, port=port, random=random))
    except (ServiceError, ConfigurationError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
