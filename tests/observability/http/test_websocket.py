"""WebSocket connections under a real uvicorn: counted by how they ended, timed, and one span each."""

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from observability.testing import CapturedTelemetry, capture_telemetry
from tests.polling import eventually
from tests.servers.asgi import serving


def chat() -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/rooms")

    @router.websocket("/{room}")
    async def echo(websocket: WebSocket, room: str) -> None:
        if room == "secret":
            await websocket.close()
            return
        await websocket.accept()
        while (text := await websocket.receive_text()) != "end":
            if text == "raise":
                raise ValueError("no")
            await websocket.send_text(text * 2)
        await websocket.close(4000 if room == "own" else 1000)

    app.include_router(router)
    return app


@pytest.fixture
def captured() -> Iterator[CapturedTelemetry]:
    with capture_telemetry(errors=True) as captured:
        yield captured


@pytest.mark.parametrize(
    ("room", "says", "code"),
    [("a", "end", "1000"), ("own", "end", "application"), ("a", "bye", "1001"), ("a", "raise", "failed")],
    ids=["closed by the service", "with a code of its own", "closed by the client", "ended by an exception"],
)
def test_a_connection_is_counted_by_how_it_ended(captured: CapturedTelemetry, room: str, says: str, code: str) -> None:
    app = chat()
    captured.instrument(app)
    with serving(app, log_level="critical") as url:
        with connect(f"{url.replace('http', 'ws')}/rooms/{room}?token=abc") as socket:
            socket.send("hé")
            assert socket.recv() == "héhé"
            assert captured.value("websocket_connections_inprogress") == 1
            if says == "bye":
                socket.close(1001)
            else:
                socket.send(says)
                with pytest.raises(ConnectionClosed):
                    socket.recv()
        eventually(lambda: captured.value("websocket_connections_total") == 1)
        events = captured.events()
    handler = "/rooms/{room}"
    assert captured.value("websocket_connections_total", handler=handler, code=code) == 1
    assert captured.value("websocket_connections_inprogress") == 0
    assert captured.value("websocket_connection_duration_seconds_count", handler=handler) == 1
    assert captured.value("websocket_messages_total", handler=handler, direction="sent") == 1
    assert captured.value("websocket_message_size_bytes_total", handler=handler, direction="sent") == len(
        "héhé".encode()
    )
    received = 1 if says == "bye" else 2
    assert captured.value("websocket_messages_total", handler=handler, direction="received") == received
    (span,) = captured.spans()
    assert span.name == "WEBSOCKET /rooms/{room}"
    assert (span.attributes or {})["http.route"] == handler
    assert (span.attributes or {})["url.query"] == "token=REDACTED"
    trace_id = f"{span.context.trace_id:032x}"
    (bucket, *_) = [s for s in captured.samples("websocket_connection_duration_seconds_bucket") if s.exemplar]
    assert bucket.exemplar is not None
    assert bucket.exemplar.labels == {"trace_id": trace_id, "span_id": f"{span.context.span_id:016x}"}
    assert [event["contexts"]["trace"]["trace_id"] for event in events] == ([trace_id] if code == "failed" else [])


@pytest.mark.parametrize(("path", "handler"), [("/rooms/secret", "/rooms/{room}"), ("/nowhere", "unmatched")])
def test_a_rejected_connection_is_counted_as_rejected(captured: CapturedTelemetry, path: str, handler: str) -> None:
    app = chat()
    captured.instrument(app)
    with serving(app) as url:
        with pytest.raises(InvalidStatus), connect(f"{url.replace('http', 'ws')}{path}"):
            pass
        eventually(lambda: captured.value("websocket_connections_total") == 1)
    assert captured.value("websocket_connections_total", handler=handler, code="rejected") == 1
