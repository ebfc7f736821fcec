"""A fake stack: one real HTTP server with the interfaces of every service, healthy or with a fault."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lab.stack.addresses import SERVERS, Addresses

READ = "0123456789abcdef0123456789abcdef"
FAILED = "fedcba9876543210fedcba9876543210"

Response = tuple[int, Any, dict[str, str]]
Responder = Callable[[dict[str, str]], Response]


def constant(body: Any, status: int = 200, *, trace_id: str = "") -> Responder:
    """Return a responder that ignores the request."""
    headers = {"X-Trace-Id": trace_id} if trace_id else {}
    return lambda _: (status, body, headers)


def _trace(*_: object) -> Any:
    return {"trace": {"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "YQ=="}, {"spanId": "Yg=="}]}]}]}}


def _log_lines(query: dict[str, str]) -> Response:
    found = [{"stream": {}, "values": [["1", "GET /x 200"]]}] if f'trace_id = "{READ}"' in query["query"] else []
    return 200, {"data": {"result": found}}, {}


def _healthy(dashboards: frozenset[str]) -> dict[tuple[str, str], Responder]:
    ok = constant("ok")
    rules = [{"rules": [{"name": "Watchdog", "health": "ok"}]}]
    target = {"labels": {"job": "service"}, "scrapeUrl": "http://x", "health": "up"}
    exemplar = {"exemplars": [{"labels": {"trace_id": READ}}]}
    value = {"metric": {"client": "user", "server": "flightdeck-baseline"}, "value": [1, "7"]}
    grafana = "/api/datasources"
    return {
        **{(arm, "/readyz"): ok for arm in ("baseline", "caching", "pooling", "compression", "edge")},
        ("baseline", "/airports/JFK/departures"): constant({"flights": []}, trace_id=READ),
        ("baseline", "/error"): constant({"status": 500}, 500, trace_id=FAILED),
        ("prometheus", "/-/ready"): ok,
        ("prometheus", "/api/v1/targets"): constant({"data": {"activeTargets": [target]}}),
        ("prometheus", "/api/v1/rules"): constant({"data": {"groups": rules}}),
        ("prometheus", "/api/v1/query"): constant({"data": {"result": [value]}}),
        ("prometheus", "/api/v1/query_exemplars"): constant({"data": [exemplar]}),
        ("otlp", "/v1/metrics"): constant({"partialSuccess": {}}),
        ("alertmanager", "/-/ready"): ok,
        ("alertmanager", "/api/v2/alerts"): constant([{"labels": {"alertname": "Watchdog"}}]),
        ("receiver", "/runbooks/pool-exhausted"): ok,
        ("bugsink", "/health/ready"): ok,
        ("grafana", "/api/health"): constant({"database": "ok"}),
        **{
            ("grafana", f"{grafana}/uid/{uid}/health"): constant({"status": "OK", "message": "fine"})
            for uid in ("prometheus", "tempo", "loki")
        },
        ("grafana", "/api/search"): constant([{"uid": uid} for uid in dashboards]),
        ("grafana", f"{grafana}/proxy/uid/tempo/api/v2/traces/{READ}"): constant(_trace()),
        ("grafana", f"{grafana}/proxy/uid/tempo/api/v2/traces/{FAILED}"): constant(_trace()),
        ("grafana", f"{grafana}/proxy/uid/loki/loki/api/v1/query_range"): _log_lines,
    }


@dataclass
class Stack:
    """The fake stack; a test replaces its responses."""

    addresses: Addresses
    responses: dict[tuple[str, str], Responder]
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Service and path of every request."""

    def fail_first(self, count: int, service: str, path: str) -> None:
        """Respond with 503 to the first requests, as a server that is starting does."""
        later, lock, left = self.responses[service, path], Lock(), [count]

        def respond(query: dict[str, str]) -> Response:
            with lock:
                left[0] -= 1
                return (503, "starting", {}) if left[0] >= 0 else later(query)

        self.responses[service, path] = respond


@contextmanager
def fake_stack(dashboards: frozenset[str]) -> Iterator[Stack]:
    """Yield a healthy stack; every service is a path prefix of one server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            url = urlsplit(self.path)
            service, _, rest = url.path.removeprefix("/").partition("/")
            path = f"/{rest}"
            stack.requests.append((service, path))
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            status, body, headers = stack.responses.get((service, path), constant("not found", 404))(query)
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self._respond()

        def do_POST(self) -> None:
            self._respond()

        def log_message(self, *args: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    base = f"http://127.0.0.1:{server.server_port}"
    stack = Stack(Addresses({name: f"{base}/{name}" for name in SERVERS}), _healthy(dashboards))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stack
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
