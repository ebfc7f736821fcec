"""Whose spans go where, in processes with one provider, two, or one of their own."""

import subprocess
import sys

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from observability.testing import capture_telemetry, lifespan_client
from observability.tracing.provider import ProxyTracerProvider

OWN_PROVIDER = """
import asyncio, httpx
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

exporter = InMemorySpanExporter()
provider = TracerProvider(sampler=TraceIdRatioBased({share}))
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

from observability import TelemetrySettings, instrument

app = FastAPI()

@app.get("/items/{{item}}")
async def item(item: int) -> int:
    with trace.get_tracer("shop").start_as_current_span("inside"):
        return item

instrument(app, settings=TelemetrySettings(metrics_exporter="none", log_format="none", access_log=False))

async def main() -> None:
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            response = await client.get("/items/7", headers={{"x-sample-token": "x"}})
            spans = exporter.get_finished_spans()
            print(sorted(span.name for span in spans))
            print({{f"{{span.context.trace_id:032x}}" for span in spans}} <= {{response.headers["x-trace-id"]}})
    exporter.clear()
    with trace.get_tracer("shop").start_as_current_span("afterwards"):
        pass
    print([span.name for span in exporter.get_finished_spans()])

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("share", "spans"), [("1.0", ["GET /items/{item}", "inside"]), ("0.0", [])], ids=["all sampled", "none sampled"]
)
def test_a_provider_that_the_process_set_itself_is_used_and_decides(share: str, spans: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWN_PROVIDER.format(share=share)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    names, same_trace, afterwards = done.stdout.splitlines()
    assert names == str(spans)
    assert same_trace == "True"
    assert afterwards == str(["afterwards"] if share == "1.0" else []), "it is not shut down with the application"


def memory() -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def test_a_tracer_follows_the_switch() -> None:
    switch = ProxyTracerProvider()
    tracer = switch.get_tracer("early")

    @tracer.start_as_current_span("decorated")
    def decorated() -> None:
        with tracer.start_as_current_span("block"):
            pass

    decorated()
    (one, kept_by_one), (two, kept_by_two) = memory(), memory()
    switch.activate(one)
    decorated()
    switch.activate(two)
    tracer.start_span("second").end()
    switch.deactivate(two)
    tracer.start_span("first again").end()
    switch.deactivate(one)
    decorated()
    assert [span.name for span in kept_by_one.get_finished_spans()] == ["block", "decorated", "first again"]
    assert [span.name for span in kept_by_two.get_finished_spans()] == ["second"]


@pytest.mark.anyio
async def test_without_a_running_application_spans_are_recorded_nowhere() -> None:
    with capture_telemetry() as captured:
        app = FastAPI()
        captured.instrument(app)
        async with lifespan_client(app):
            with trace.get_tracer("shop").start_as_current_span("while it runs"):
                pass
        with trace.get_tracer("shop").start_as_current_span("afterwards") as span:
            assert not span.is_recording()
        assert [span.name for span in captured.spans()] == ["while it runs"]
