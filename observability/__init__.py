"""One call gives any FastAPI or Starlette application metrics, traces, logs and errors that belong together."""

from observability.core.settings import TelemetryConfigurationError, TelemetrySettings
from observability.instrument import InstrumentationError, instrument
from observability.telemetry import Telemetry

__all__ = [
    "InstrumentationError",
    "Telemetry",
    "TelemetryConfigurationError",
    "TelemetrySettings",
    "instrument",
]
