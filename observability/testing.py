"""Telemetry for tests: fresh in every test, kept in memory, and asked in plain words.

def test_a_sold_out_book_is_a_conflict() -> None:
    with telemetry() as seen:
        app = create_app()
        seen.instrument(app)
        with TestClient(app) as client:
            client.post("/orders", json={"book": 1})
    assert seen.value("http_requests_total", handler="/orders", status="409") == 1
    assert seen.span("POST /orders").attributes["http.response.status_code"] == 409
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util.types import AttributeValue
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample
from starlette.applications import Starlette

from observability.guard import failures_raised
from observability.instrument import instrument
from observability.settings import TelemetrySettings
from observability.telemetry import Telemetry


class Seen:
    """What telemetry has seen since the test began."""

    def __init__(self, settings: TelemetrySettings) -> None:
        self.settings = settings
        self.registry = CollectorRegistry()
        self._exporter = InMemorySpanExporter()

    def instrument(self, app: Starlette, **options: Any) -> Telemetry:
        """Instrument the application with the telemetry of this test; `options` are those of `instrument()`."""
        return instrument(
            app,
            registry=self.registry,
            settings=self.settings,
            span_processors=[SimpleSpanProcessor(self._exporter)],
            **options,
        )

    def samples(self, name: str, **labels: str) -> list[Sample]:
        """Return the samples with this name and these labels, whatever their other labels; `KeyError` for no metric.

        A metric that has counted nothing yet has no samples, but a name that no metric has is a mistake in the test.
        """
        families = list(self.registry.collect())
        found = [sample for family in families for sample in family.samples if sample.name == name]
        if not found and not any(name.removesuffix(end) == f.name for f in families for end in _SUFFIXES):
            known = ", ".join(sorted(family.name for family in families))
            raise KeyError(f"no metric {name!r}; there are {known}")
        return [sample for sample in found if sample.labels.items() >= labels.items()]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with this name and these labels; 0.0 if nothing was counted."""
        return sum(sample.value for sample in self.samples(name, **labels))

    def spans(self, name: str | None = None, **attributes: AttributeValue) -> list[ReadableSpan]:
        """Return the finished spans with this name and these attributes, in the order in which they ended.

        Dots in attribute names are written as two underscores: `http__route="/orders"`.
        """
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        return [
            span
            for span in self._exporter.get_finished_spans()
            if name in {None, span.name} and (span.attributes or {}).items() >= wanted.items()
        ]

    def span(self, name: str, **attributes: AttributeValue) -> ReadableSpan:
        """Return the one finished span with this name and these attributes; `LookupError` if there is not one."""
        spans = self.spans(name, **attributes)
        if len(spans) != 1:
            names = ", ".join(span.name for span in self._exporter.get_finished_spans()) or "none"
            raise LookupError(f"{len(spans)} spans {name!r}; there are {names}")
        return spans[0]


_SUFFIXES = ("", "_total", "_count", "_sum", "_bucket", "_created", "_info")


@contextmanager
def telemetry(**settings: Any) -> Iterator[Seen]:
    """Yield telemetry that keeps everything, traces every request, and raises where it would swallow a failure.

    `settings` are those of `TelemetrySettings`, by name. No port is opened and nothing leaves the process.
    """
    defaults: dict[str, Any] = {"metrics_exporter": "none", "traces_exporter": "none", "access_log": False}
    with failures_raised():
        yield Seen(TelemetrySettings(**defaults | settings))


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the application, in this process and without a port, while the application's lifespan runs.

    What the application raises becomes a response with status 500, as behind a server.
    """
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client
