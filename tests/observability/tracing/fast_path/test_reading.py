"""Code that reads the current span as one of the SDK works, whether the request is sampled, has ended, or neither."""

import copy
from typing import Any

import pytest
from fastapi import FastAPI, Request
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from observability import TelemetrySettings, instrument
from observability.request.record import RequestRecord, request_record
from observability.testing import lifespan_client
from tests.servers.otlp import collecting

PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-"


def read(span: Any) -> dict[str, Any]:
    attributes = dict(span.attributes)
    assert repr(span)
    assert span.context == span.get_span_context()
    assert attributes.items() >= {"http.request.method": "GET", "url.path": "/items/1"}.items()
    assert span.kind is SpanKind.SERVER
    assert span.status.status_code is StatusCode.UNSET
    assert tuple(span.events) == tuple(span.links) == ()
    assert span.start_time > 0
    assert span.instrumentation_scope.name == "observability"
    assert span.resource is not None
    assert span.to_json()
    assert not hasattr(span, "no_such_thing")
    assert copy.copy(span).get_span_context() == span.get_span_context()
    return {"name": span.name, "parent": span.parent and span.parent.span_id, "ended": span.end_time is not None}


@pytest.mark.parametrize("sampled", ["01", "00"], ids=["sampled", "unsampled"])
@pytest.mark.parametrize("has_parent", [True, False], ids=["with a parent", "root"])
async def test_a_span_is_read_like_one_of_the_sdk(sampled: str, has_parent: bool) -> None:
    app = FastAPI()
    seen: list[dict[str, Any]] = []
    spans: list[trace.Span] = []
    records: list[RequestRecord | None] = []

    @app.get("/items/{number}")
    async def item(number: int, request: Request) -> int:
        if number:
            spans.append(trace.get_current_span())
            records.append(request_record(request.scope))
            if request.query_params:
                seen.append(read(spans[-1]))
        return number

    with collecting() as collector:
        settings = TelemetrySettings(
            metrics_exporter="none",
            log_format="none",
            access_log=False,
            traces_sampler="parentbased_always_on" if sampled == "01" else "parentbased_always_off",
            otlp_traces_endpoint=f"{collector.endpoint}/v1/traces",
        )
        instrument(app, settings=settings)
        headers = {"traceparent": PARENT + sampled} if has_parent else {}
        async with lifespan_client(app) as client:
            await client.get("/items/1?read", headers=headers)
            await client.get("/items/1", headers=headers)
    parent = int("b" * 16, 16) if has_parent else None
    assert seen == [{"name": "GET", "parent": parent, "ended": False}]
    assert read(spans[1]) == {"name": "GET /items/{number}", "parent": parent, "ended": True}
