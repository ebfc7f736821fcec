from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Request
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from observability.clients.httpx import HttpClientMetrics
from observability.core.attached import AlreadyAttached
from tests.servers.asgi import serving
from tests.servers.port import free_port


class Observed:
    """The metrics and spans of HTTP clients."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.metrics = HttpClientMetrics(self.registry, tracer_provider=self.provider)

    def client(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient()
        self.metrics.attach("weather", client)
        return client

    def calls(self, status: str, method: str = "GET") -> float | None:
        labels = {"client": "weather", "method": method, "code": status}
        return self.registry.get_sample_value("http_client_request_duration_seconds_count", labels)

    def connects(self) -> float | None:
        return self.registry.get_sample_value("http_client_connect_duration_seconds_count", {"client": "weather"})


@pytest.fixture(scope="module")
def weather() -> Iterator[str]:
    app = FastAPI()

    @app.get("/trace")
    async def trace(request: Request) -> str:
        return request.headers.get("traceparent", "")

    with serving(app) as url:
        yield url


async def test_calls_are_timed_by_status_and_connects_are_counted_once(weather: str) -> None:
    observed = Observed()
    async with observed.client() as client:
        for _ in range(3):
            await client.get(f"{weather}/trace")
        await client.get(f"{weather}/missing")
        await client.request("BREW", f"{weather}/trace")
    assert (observed.calls("200"), observed.calls("404"), observed.calls("400", "other")) == (3, 1, 1)
    assert observed.connects() == 1
    assert observed.registry.get_sample_value("http_client_requests_inprogress", {"client": "weather"}) == 0


def test_a_synchronous_client_is_observed_too(weather: str) -> None:
    observed = Observed()
    with httpx.Client() as client:
        observed.metrics.attach("weather", client)
        client.get(f"{weather}/trace")
        client.get(f"{weather}/trace")
    assert (observed.calls("200"), observed.connects()) == (2, 1)


@pytest.mark.parametrize(
    ("error", "status"), [(httpx.ReadTimeout("slow"), "timeout"), (httpx.ConnectError("gone"), "error")]
)
async def test_calls_without_a_response_are_counted_by_what_happened(error: Exception, status: str) -> None:
    def fail(request: httpx.Request) -> httpx.Response:  # noqa: ARG001 the signature is the transport's
        raise error

    observed = Observed()
    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
        observed.metrics.attach("weather", client)
        with pytest.raises(type(error)):
            await client.get("http://weather")
    assert observed.calls(status) == 1


async def test_a_refused_connection_is_no_connect() -> None:
    observed = Observed()
    async with observed.client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{free_port()}")
    assert (observed.calls("error"), observed.connects()) == (1, 0)


async def test_the_trace_context_is_propagated_to_the_called_service(weather: str) -> None:
    observed = Observed()
    with observed.provider.get_tracer("test").start_as_current_span("request") as request:
        async with observed.client() as client:
            header = (await client.get(f"{weather}/trace")).json()
    (call, _) = observed.exporter.get_finished_spans()
    assert call.context is not None
    assert header.split("-")[1:3] == [f"{request.get_span_context().trace_id:032x}", f"{call.context.span_id:016x}"]


async def test_the_span_uses_the_stable_conventions_and_holds_neither_query_nor_password(weather: str) -> None:
    observed = Observed()
    url = httpx.URL(f"{weather}/trace", params={"token": "secret"}).copy_with(username="me", password="secret")
    async with observed.client() as client:
        await client.get(url)
    (span,) = observed.exporter.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert attributes["http.request.method"] == "GET"
    assert attributes["http.response.status_code"] == 200
    assert attributes["url.full"] == f"{weather}/trace"
    assert attributes["service.peer.name"] == "weather", "the name of the called service, not its address"
    assert not any("secret" in str(value) for value in attributes.values())
    assert not attributes.keys() & {"http.method", "http.url", "http.status_code"}


async def test_the_caller_s_own_trace_extension_is_still_called(weather: str) -> None:
    observed = Observed()
    events: list[str] = []

    async def listen(event: str, info: dict[str, object]) -> None:  # noqa: ARG001 the signature is httpcore's
        events.append(event)

    async with observed.client() as client:
        await client.get(f"{weather}/trace", extensions={"trace": listen})
    assert "connection.connect_tcp.complete" in events


def test_a_client_is_attached_once_and_observed_by_the_latest_only() -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(204)))
    first, second = CollectorRegistry(), CollectorRegistry()
    metrics = HttpClientMetrics(first)
    metrics.attach("one", client)
    with pytest.raises(AlreadyAttached, match="'two' is already attached as 'one'"):
        metrics.attach("two", client)
    HttpClientMetrics(second).attach("one", client)
    client.get("http://upstream.test/")
    name, labels = "http_client_request_duration_seconds_count", {"client": "one", "method": "GET", "code": "204"}
    assert (first.get_sample_value(name, labels), second.get_sample_value(name, labels)) == (None, 1.0)
