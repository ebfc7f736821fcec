"""FastAPI: its own telemetry, which `FastAPI(telemetry=...)` configures."""

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer
from starlette.applications import Starlette
from starlette.types import ASGIApp


def disable_native_telemetry(app: Starlette) -> None:
    """Disable FastAPI's own telemetry after the application was made.

    It is inactive inside OpenTelemetry's middleware, but searches the stack for that on every request, which takes as
    long as all of our instrumentation. Without `_telemetry` that cost remains.
    """
    configuration = getattr(app, "_telemetry", None)
    if isinstance(configuration, dict):
        configuration.update(tracing=False, metrics=False, logs=False)


def disabling_native_telemetry(app: ASGIApp) -> ASGIApp:
    """Return OpenTelemetry's middleware, which in the stack disables FastAPI's telemetry; it is never called."""
    marker: ASGIApp = OpenTelemetryMiddleware(
        app, tracer=NoOpTracer(), meter=NoOpMeter("observability"), exclude_spans=["receive", "send"]
    )
    return marker
