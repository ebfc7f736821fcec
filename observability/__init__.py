"""One call gives any FastAPI or Starlette application correlated metrics, traces, logs and error reports."""

from observability.core.settings import TelemetryConfigurationError, TelemetrySettings
from observability.instrument import InstrumentationError, instrument
from observability.request.custom_labels import set_label
from observability.telemetry import Telemetry

__all__ = [
    "InstrumentationError",
    "Telemetry",
    "TelemetryConfigurationError",
    "TelemetrySettings",
    "instrument",
    "set_label",
]
