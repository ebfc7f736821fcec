"""Headers that a sender repeats or splits are combined as their specifications say, for requests and connections."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from opentelemetry import baggage, trace

from observability.testing import CapturedTelemetry, capture_telemetry

PARENT = (b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")
LATER = b"cc" + PARENT[1][2:]
"""A `traceparent` of a later version, which may be longer."""


async def call(app: FastAPI, kind: str, headers: list[tuple[bytes, bytes]]) -> None:
    scope: dict[str, Any] = {
        "type": kind, "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/", "raw_path": b"/",
        "query_string": b"", "headers": headers, "server": ("x", 80), "client": ("y", 1),
    }  # fmt: skip
    messages = [{"type": "websocket.connect"}] if kind == "websocket" else [{"type": "http.request", "body": b""}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_: object) -> None:
        await asyncio.sleep(0)

    await app(scope, receive, send)


async def received(captured: CapturedTelemetry, kind: str, headers: list[tuple[bytes, bytes]]) -> tuple[Any, ...]:
    """Return the trace id, the trace state and the baggage that the handler has."""
    app = FastAPI()
    seen: list[tuple[Any, ...]] = []

    def see() -> None:
        context = trace.get_current_span().get_span_context()
        seen.append((f"{context.trace_id:032x}", dict(context.trace_state), dict(baggage.get_all())))

    @app.get("/")
    async def root() -> None:
        see()

    @app.websocket("/")
    async def talk(websocket: WebSocket) -> None:
        see()
        await websocket.close()

    telemetry = captured.instrument(app)
    telemetry.start()
    try:
        await call(app, kind, headers)
    finally:
        telemetry.stop()
    return seen[0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("headers", "is_child", "state", "carried"),
    [
        ([PARENT], True, {}, {}),
        ([PARENT, (b"tracestate", b"a=1"), (b"tracestate", b"b=2")], True, {"a": "1", "b": "2"}, {}),
        ([(b"tracestate", b"a=1"), PARENT, (b"tracestate", b"b=2,c=3")], True, {"a": "1", "b": "2", "c": "3"}, {}),
        ([PARENT, (b"tracestate", b""), (b"tracestate", b"b=2")], True, {"b": "2"}, {}),
        ([PARENT, (b"baggage", b"x=1"), (b"baggage", b"y=2,z=3")], True, {}, {"x": "1", "y": "2", "z": "3"}),
        ([(b"baggage", b"x=1"), (b"baggage", b"y=2")], False, {}, {"x": "1", "y": "2"}),
        ([PARENT, PARENT, (b"tracestate", b"a=1")], False, {}, {}),
        ([(b"traceparent", LATER + b"-x"), (b"traceparent", LATER)], False, {}, {}),
    ],
    ids=["one", "state", "state around", "empty state", "baggage", "baggage alone", "parents", "later parents"],
)
async def test_repeated_headers_are_combined(
    kind: str, headers: list[tuple[bytes, bytes]], is_child: bool, state: dict[str, str], carried: dict[str, str]
) -> None:
    with capture_telemetry() as captured:
        trace_id, trace_state, bag = await received(captured, kind, headers)
    assert (trace_id == "a" * 32, trace_state, bag) == (is_child, state, carried)
