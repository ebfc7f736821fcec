"""The telemetry of a test, with queries for it."""

from typing import Any, Final

import sentry_sdk
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util.types import AttributeValue
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample
from starlette.applications import Starlette

from observability.core.settings import TelemetrySettings
from observability.instrument import instrument
from observability.telemetry import Telemetry
from observability.testing.error_server import ErrorServer
from observability.testing.log_capture import LogCapture

_SUFFIXES: Final = ("", "_total", "_count", "_sum", "_bucket", "_created", "_info")


class CapturedTelemetry:
    """The metrics, spans, logs and error reports since the test began."""

    def __init__(self, settings: TelemetrySettings, logs: LogCapture, errors: ErrorServer | None = None) -> None:
        self.settings = settings
        self._logs = logs
        self._errors = errors
        self.registry = CollectorRegistry()
        self._exporter = InMemorySpanExporter()

    def instrument(self, app: Starlette, **options: Any) -> Telemetry:
        """Instrument the application; `options` are those of `instrument()`."""
        return instrument(
            app,
            registry=self.registry,
            settings=self.settings,
            span_processors=[SimpleSpanProcessor(self._exporter)],
            **options,
        )

    def samples(self, name: str, **labels: str) -> list[Sample]:
        """Return the samples with this name and these labels, among others; raise `KeyError` if there is no such
        metric.

        A metric that has counted nothing has no samples, but an unknown name is a mistake in the test.
        """
        families = list(self.registry.collect())
        found = [sample for family in families for sample in family.samples if sample.name == name]
        if not found and not any(name.removesuffix(end) == f.name for f in families for end in _SUFFIXES):
            known = ", ".join(sorted(family.name for family in families))
            raise KeyError(f"no metric {name!r}; there are {known}")
        return [sample for sample in found if sample.labels.items() >= labels.items()]

    def value(self, name: str, **labels: str) -> float:
        return sum(sample.value for sample in self.samples(name, **labels))

    def spans(self, name: str | None = None, **attributes: AttributeValue) -> list[ReadableSpan]:
        """Return the finished spans with this name and these attributes, in order of their end.

        Dots in attribute names are written as two underscores: `http__route="/orders"`.
        """
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        return [
            span
            for span in self._exporter.get_finished_spans()
            if name in {None, span.name} and (span.attributes or {}).items() >= wanted.items()
        ]

    def span(self, name: str, **attributes: AttributeValue) -> ReadableSpan:
        """Return the only finished span with this name and these attributes, else raise `LookupError`."""
        spans = self.spans(name, **attributes)
        if len(spans) != 1:
            names = ", ".join(span.name for span in self._exporter.get_finished_spans()) or "none"
            raise LookupError(f"{len(spans)} spans {name!r}; there are {names}")
        return spans[0]

    def logs(self, message: str | None = None, **fields: object) -> list[dict[str, Any]]:
        return [
            record
            for record in self._logs.records
            if message in {None, record["message"]} and record.items() >= fields.items()
        ]

    def events(self) -> list[dict[str, Any]]:
        """Return the error reports as JSON, inside `capture_telemetry(errors=True)`."""
        if self._errors is None:
            raise LookupError("error reports are kept inside capture_telemetry(errors=True)")
        sentry_sdk.flush(timeout=5)
        return list(self._errors.events)
