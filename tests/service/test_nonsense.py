"""Fuzzed requests: every response is a success or a problem document, and no exception escapes."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes, unquote

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from service.app import create_app
from tests.servers.arm import QUIET, WRITE_TOKEN, arm_settings

SEGMENTS = [
    "flights",
    "airports",
    "airlines",
    "reports",
    "delays",
    "routes",
    "departures",
    "nearest",
    "status",
    "1",
    "JFK",
]
PARAMETERS = [
    "origin",
    "destination",
    "date",
    "date_from",
    "limit",
    "cursor",
    "fields",
    "sort",
    "status",
    "by",
    "month",
]
VALUES = ["JFK", "2013-01-01", "2013-01", "10", "-departure_delay_min", "id,origin", "cancelled", "carrier", "hour", ""]

words = st.text(max_size=12) | st.binary(max_size=12).map(lambda raw: raw.decode("latin-1"))
segments = (
    st.sampled_from(SEGMENTS)
    | words.map(lambda word: quote(word, safe=""))
    | st.sampled_from(["%", "%zz", "%00", ".."])
)
paths = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts))
pairs = st.tuples(
    st.sampled_from(PARAMETERS) | words.map(quote),
    st.sampled_from(VALUES) | st.binary(max_size=12).map(quote_from_bytes),
)
queries = st.lists(pairs, max_size=4).map(lambda given: "&".join(f"{name}={value}" for name, value in given))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
updates = st.fixed_dictionaries(
    {"status": st.sampled_from(["departed", "cancelled", "late"]) | json_values},
    optional={"departure_delay_min": st.integers() | json_values, "gate": json_values},
)
bodies = st.binary(max_size=40) | (updates | json_values).map(lambda value: json.dumps(value).encode())
headers = st.dictionaries(
    st.sampled_from([b"accept", b"accept-encoding", b"if-none-match", b"authorization", b"range", b"content-encoding"]),
    st.binary(max_size=20),
    max_size=2,
)


@dataclass(frozen=True)
class Running:
    """An application and the event loop that it runs on."""

    app: FastAPI
    portal: BlockingPortal

    def request(
        self, method: str, target: str, given: dict[bytes, bytes], body: bytes
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        """Return status, headers and body, called as a server calls an application."""
        raw_path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "server": ("test", 80),
            "client": ("127.0.0.1", 1),
            "root_path": "",
            "method": method,
            "path": unquote(raw_path),
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"test"), *given.items()],
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        self.portal.call(self.app, scope, receive, send)
        start, *parts = sent
        return start["status"], dict(start["headers"]), b"".join(part.get("body", b"") for part in parts)


@pytest.fixture(scope="module", params=["none", "all"])
def running(
    request: pytest.FixtureRequest, sparse_flights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    data_dir = Path(shutil.copytree(sparse_flights, tmp_path_factory.mktemp("nonsense") / "data"))
    app = create_app(arm_settings(request.param, data_dir), telemetry=QUIET)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        yield Running(app, portal)


def checked(status: int, given: dict[bytes, bytes], body: bytes) -> None:
    assert status < 500 or status == 503
    if status >= 400:
        assert given[b"content-type"] == b"application/problem+json"
        document: dict[str, Any] = json.loads(body)
        assert document["status"] == status
        assert len(body) < 5000


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"]),
    path=paths,
    query=queries,
    given_headers=headers,
)
def test_no_request_breaks_the_service(
    running: Running, method: str, path: str, query: str, given_headers: dict[bytes, bytes]
) -> None:
    status, response_headers, body = running.request(
        method, f"{path}?{query}", given_headers | {b"accept-encoding": b"identity"}, b""
    )

    if method != "HEAD" and path != "/error":
        checked(status, response_headers, body)


@settings(max_examples=200, deadline=None)
@given(
    flight_id=st.sampled_from(["1", "0", "-1", "2147483648", "9" * 30, "x", "%00", "1.0"]),
    content_type=st.sampled_from([b"application/json", b"text/plain", b"", b"application/json; charset=utf-16"]),
    body=bodies,
)
def test_no_body_breaks_the_service(running: Running, flight_id: str, content_type: bytes, body: bytes) -> None:
    sent = {b"authorization": b"Bearer " + WRITE_TOKEN.encode(), b"content-type": content_type}

    checked(*running.request("PATCH", f"/flights/{flight_id}/status", sent, body))
