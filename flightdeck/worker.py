"""`flightdeck worker`: makes exports that the service hands to the task queue."""

from pathlib import Path
from typing import Annotated

import typer


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Exports that are made at the same time.")] = 1,
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
    """Work on exports until interrupted; the settings are those of the service whose exports they are."""
    from observability import TelemetryConfigurationError, TelemetrySettings
    from observability.celery.worker import instrument_worker
    from service.exports.broker import worker_app
    from service.exports.task import register_export_task
    from service.exports.worker import worker_arguments
    from service.settings import ConfigurationError, Settings

    try:
        settings = Settings.from_environ(**({"data_dir": data_dir} if data_dir else {}))
        telemetry = settings.naming(TelemetrySettings.from_environ())
    except (ConfigurationError, TelemetryConfigurationError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if metrics_port is not None:
        telemetry = telemetry.model_copy(update={"metrics_port": metrics_port})
    app = worker_app(settings)
    register_export_task(app, settings)
    instrument_worker(app, settings=telemetry)
    app.worker_main(worker_arguments(settings, concurrency=concurrency))
