"""Labels of the application's own, and the names of the semantic conventions, on the metrics of requests."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry
from starlette.concurrency import run_in_threadpool

from observability import TelemetrySettings, instrument, set_label
from observability.testing import capture_telemetry, lifespan_client

pytestmark = pytest.mark.anyio


def plan(plan: str = "") -> None:
    """A dependency in a thread, as one without `async` is."""
    if plan:
        set_label("plan", plan)


def app() -> FastAPI:
    app = FastAPI()

    @app.get("/orders", dependencies=[Depends(plan)])
    async def orders(tenant: str = "") -> None:
        if tenant:
            await run_in_threadpool(set_label, "tenant", tenant)

    @app.get("/fails", dependencies=[Depends(plan)])
    async def fails() -> None:
        raise RuntimeError("on purpose")

    return app


CASES = {
    "a closed set": ({"plan": ("free", "pro")}, ["/orders?plan=free", "/orders?plan=pro"], ["free", "pro"]),
    "a value outside of the set": ({"plan": ("free",)}, ["/orders?plan=free", "/orders?plan=x"], ["free", "other"]),
    "a number of values": ({"tenant": 2}, [f"/orders?tenant={name}" for name in "abcab"], ["a", "b", "other"]),
    "not set": ({"plan": ("free",)}, ["/orders"], ["none"]),
    "not set, and a number of values": ({"tenant": 1}, ["/orders", "/orders?tenant=a"], ["a", "none"]),
    "a request that fails": ({"plan": ("free",)}, ["/fails?plan=free"], ["free"]),
    "an unknown path": ({"plan": ("free",)}, ["/nowhere?plan=free"], ["none"]),
}


@pytest.mark.parametrize(("labels", "requests", "values"), CASES.values(), ids=CASES)
async def test_the_metrics_of_requests_have_the_declared_labels(
    labels: dict[str, Any], requests: list[str], values: list[str]
) -> None:
    with capture_telemetry() as captured:
        application = app()
        captured.instrument(application, labels=labels)
        async with lifespan_client(application) as client:
            for request in requests:
                await client.get(request)
        (name,) = labels
        for metric in ("http_requests_total", "http_request_duration_seconds_count"):
            samples = captured.samples(metric)
            assert sorted({sample.labels[name] for sample in samples}) == values
            assert sum(sample.value for sample in samples) == len(requests)
        first_byte = captured.samples("http_response_first_byte_seconds_count")
        assert sum(sample.value for sample in first_byte) == len(requests)
        assert all(name not in sample.labels for sample in first_byte)


async def test_a_label_that_was_not_declared_is_an_error_of_the_instrumentation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures: list[str] = []
    monkeypatch.setattr(
        "observability.request.custom_labels.record_internal_error", lambda _, e: failures.append(str(e))
    )
    with capture_telemetry() as captured:
        application = app()
        captured.instrument(application, labels={"tenant": 5})
        async with lifespan_client(application) as client:
            assert (await client.get("/orders?plan=free")).status_code == 200
        assert captured.value("http_requests_total", tenant="none") == 1
    assert failures == ["'instrument(labels=...) does not declare plan'"]


async def test_without_declared_labels_and_outside_of_requests_setting_one_does_nothing() -> None:
    set_label("plan", "free")
    with capture_telemetry() as captured:
        application = app()
        captured.instrument(application)
        async with lifespan_client(application) as client:
            await client.get("/orders?plan=free")
        assert captured.value("http_requests_total", code="200") == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"handler": 5}, "'handler' is not a label name, or is one of"),
        ({"a-b": 5}, "'a-b' is not a label name"),
        ({"__a": 5}, "'__a' is not a label name"),
        ({"plan": 0}, "'plan' needs its allowed values, or how many it may have: not 0"),
        ({"plan": "free"}, "'plan' needs its allowed values, or how many it may have: not 'free'"),
        ({"plan": True}, "'plan' needs its allowed values, or how many it may have: not True"),
    ],
)
async def test_a_bad_declaration_is_rejected_with_its_name(labels: dict[str, Any], message: str) -> None:
    registry = CollectorRegistry()
    with pytest.raises(ValueError, match=message):
        instrument(FastAPI(), labels=labels, registry=registry, settings=TelemetrySettings(metrics_exporter="none"))
    assert list(registry.collect()) == []


async def test_the_names_of_the_semantic_conventions_are_there_on_request() -> None:
    with capture_telemetry(semconv_metrics=True) as captured:
        application = app()
        captured.instrument(application)
        async with lifespan_client(application) as client:
            for method, path in (("GET", "/orders"), ("GET", "/fails"), ("ODD", "/orders"), ("GET", "/nowhere")):
                await client.request(method, path)
        samples = captured.samples("http_server_request_duration_seconds_count")
    labels = ("http_request_method", "http_route", "http_response_status_code")
    assert {tuple(sample.labels[label] for label in labels): sample.value for sample in samples} == {
        ("GET", "/orders", "200"): 1,
        ("GET", "/fails", "500"): 1,
        ("_OTHER", "/orders", "405"): 1,
        ("GET", "", "404"): 1,
    }
