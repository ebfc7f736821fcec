"""Fuzzed headers: no exception, no label value and no log line from a client."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from observability import TelemetrySettings
from service.app import create_app
from tests.servers.arm import WRITE_TOKEN, arm_settings
from tests.service.test_nonsense import Running, checked

MARK = "zq9x"
"""Part of every sent value; must not be in any label or log line."""

NAMES = [
    b"accept",
    b"accept-encoding",
    b"authorization",
    b"baggage",
    b"content-length",
    b"content-type",
    b"cookie",
    b"host",
    b"idempotency-key",
    b"if-match",
    b"if-none-match",
    b"if-range",
    b"origin",
    b"range",
    b"referer",
    b"traceparent",
    b"tracestate",
    b"user-agent",
    b"x-forwarded-for",
    b"x-request-id",
]
VALID = [
    "gzip;q=0.5, zstd",
    "bytes=0-",
    'W/"1.1", "1.1"',
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "a=1;b=2,c=%22",
    f"Bearer {WRITE_TOKEN}",
    '\n{"level": "error", "event": "forged"}\r\n',
    "\x1b[31m",
]
TARGETS = ["/", "/airlines", "/flights/10", "/flights?limit=2", "/flights/10/status", "/exports", "/exports/x/file"]

raw = st.binary(max_size=30) | st.sampled_from(VALID).map(lambda text: text.encode("latin-1"))
values = st.tuples(raw, raw).map(lambda parts: parts[0] + MARK.encode() + parts[1])
headers = st.dictionaries(st.sampled_from(NAMES), values, min_size=1, max_size=5)


@contextmanager
def serving(data_dir: Path, stream: io.StringIO, registry: CollectorRegistry) -> Iterator[Running]:
    """Yield the service, which logs to the stream."""
    telemetry = TelemetrySettings(metrics_exporter="none", access_log=True, log_format="json")
    stderr, sys.stderr = sys.stderr, stream
    try:
        app = create_app(arm_settings("all", data_dir), registry=registry, telemetry=telemetry)
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
            yield Running(app, portal)
    finally:
        sys.stderr = stderr


def test_no_header_breaks_the_service_becomes_a_label_or_writes_a_line_of_the_log(data_dir: Path) -> None:
    stream, registry = io.StringIO(), CollectorRegistry()
    sent_requests = 0

    with serving(data_dir, stream, registry) as running:

        @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(
            method=st.sampled_from(["GET", "GET", "HEAD", "PATCH", "POST"]),
            target=st.sampled_from(TARGETS),
            given_headers=headers,
        )
        def send(method: str, target: str, given_headers: dict[bytes, bytes]) -> None:
            nonlocal sent_requests
            status, response_headers, body = running.request(method, target, given_headers, b"{}")
            sent_requests += 1
            assert not any(set(value) & set(b"\r\n\0") for value in response_headers.values())
            assert status < 500 or status == 503
            if method != "HEAD" and b"content-encoding" not in response_headers:
                checked(status, response_headers, body)

        send()
        exposition = generate_latest(registry).decode()
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    access = [record for record in records if record["logger"] == "observability.access"]

    assert MARK not in exposition
    assert len(exposition.splitlines()) < 5_000
    assert len(access) == sent_requests, "each request has one line of the log, and no header adds another"
    assert not [record for record in records if record.get("event") == "forged"]
