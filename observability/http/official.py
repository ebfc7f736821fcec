"""HTTP by the official libraries: `OBSERVABILITY_HTTP=official`."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_fastapi_instrumentator import Instrumentator, metrics
from starlette.applications import Starlette

from observability.core.collector import DescribedCollector
from observability.http.custom_metrics import InstrumentationFunction
from observability.request.record import RequestRecord
from observability.tracing.http_options import HttpOptions
from observability.tracing.optional_tracing import OfficialTracing


class RequestsInProgress(DescribedCollector):
    """The one metric that the instrumentator registers elsewhere; all others are its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.active: set[RequestRecord] = set()
        registry.register(self)

    def observe(self, record: RequestRecord, handler: str, status: int | str, ended: float) -> None:
        """Leave the request to the instrumentator."""

    def observe_error(self, record: RequestRecord, **_: object) -> None:
        """Leave it to the instrumentator."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("http_requests_inprogress", "Requests in progress.", len(self.active))


def instrument_officially(
    app: Starlette,
    *,
    registry: CollectorRegistry,
    tracing: OfficialTracing,
    options: HttpOptions,
    functions: Sequence[InstrumentationFunction | None],
    bounds_s: Sequence[float],
) -> None:
    """Let both libraries instrument the application, with our registry, tracer provider and bucket bounds."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 most applications do without

    defaults = metrics.default(registry=registry, latency_lowr_buckets=tuple(bounds_s))
    Instrumentator(registry=registry).add(defaults, *functions).instrument(app)
    FastAPIInstrumentor.instrument_app(app, **tracing.official_arguments(options))  # type: ignore[arg-type]  # Starlette
