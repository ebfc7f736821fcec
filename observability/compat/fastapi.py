"""FastAPI: its own telemetry, which `FastAPI(telemetry=...)` configures."""

from starlette.applications import Starlette


def disable_native_telemetry(app: Starlette) -> None:
    """Disable FastAPI's own telemetry after the application was made.

    It is inactive inside OpenTelemetry's middleware, but searches the stack for that on every request, which takes as
    long as all of our instrumentation. Without `_telemetry` that cost remains.
    """
    configuration = getattr(app, "_telemetry", None)
    if isinstance(configuration, dict):
        configuration.update(tracing=False, metrics=False, logs=False)
