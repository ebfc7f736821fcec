from typing import Annotated

import typer

from flightdeck.exits import failing_on
from flightdeck.options import MetricsPort, OptionalDataDir


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Exports made in parallel.")] = 1,
    metrics_port: MetricsPort = None,
    data_dir: OptionalDataDir = None,
) -> None:
    """Run an export worker. Use the same settings as the service."""
    from observability import TelemetryConfigurationError, TelemetrySettings
    from observability.celery.worker import instrument_worker
    from service.exports.broker import worker_app, worker_arguments
    from service.exports.task import register_export_task
    from service.settings import ConfigurationError, Settings

    with failing_on(ConfigurationError, TelemetryConfigurationError):
        settings = Settings.from_environ(**({"data_dir": data_dir} if data_dir else {}))
        telemetry = settings.with_arm(TelemetrySettings.from_environ())
    if metrics_port is not None:
        telemetry = telemetry.model_copy(update={"metrics_port": metrics_port})
    app = worker_app(settings)
    register_export_task(app, settings)
    instrument_worker(app, settings=telemetry)
    app.worker_main(worker_arguments(settings, concurrency=concurrency))
