"""The HTTP interfaces of the stack, pretended by one real server: as they answer when all is well, and otherwise."""

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

Answer = tuple[int, Any, dict[str, str]]
Answers = Callable[[dict[str, str]], Answer]


def said(body: Any, status: int = 200, *, trace_id: str = "") -> Answers:
    """Return an answer that does not depend on the request."""
    headers = {"X-Trace-Id": trace_id} if trace_id else {}
    return lambda _: (status, body, headers)


def _trace(*_: object) -> Any:
    return {"trace": {"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "YQ=="}, {"spanId": "Yg=="}]}]}]}}


def _lines(query: dict[str, str]) -> Answer:
    found = [{"stream": {}, "values": [["1", "GET /x 200"]]}] if f'trace_id = "{READ}"' in query["query"] else []
    return 200, {"data": {"result": found}}, {}


def _all_well(boards: frozenset[str]) -> dict[tuple[str, str], Answers]:
    ok = said("ok")
    rules = [{"rules": [{"name": "Watchdog", "health": "ok"}]}]
    target = {"labels": {"job": "service"}, "scrapeUrl": "http://x", "health": "up"}
    exemplar = {"exemplars": [{"labels": {"trace_id": READ}}]}
    grafana = "/api/datasources"
    return {
        **{(arm, "/readyz"): ok for arm in ("baseline", "caching", "pooling", "compression", "edge")},
        ("baseline", "/airports/JFK/departures"): said({"flights": []}, trace_id=READ),
        ("baseline", "/error"): said({"status": 500}, 500, trace_id=FAILED),
        ("prometheus", "/-/ready"): ok,
        ("prometheus", "/api/v1/targets"): said({"data": {"activeTargets": [target]}}),
        ("prometheus", "/api/v1/rules"): said({"data": {"groups": rules}}),
        ("prometheus", "/api/v1/query"): said({"data": {"result": [{"value": [1, "7"]}]}}),
        ("prometheus", "/api/v1/query_exemplars"): said({"data": [exemplar]}),
        ("alertmanager", "/-/ready"): ok,
        ("alertmanager", "/api/v2/alerts"): said([{"labels": {"alertname": "Watchdog"}}]),
        ("receiver", "/runbooks/pool-exhausted"): ok,
        ("bugsink", "/health/ready"): ok,
        ("grafana", "/api/health"): said({"database": "ok"}),
        **{
            ("grafana", f"{grafana}/uid/{uid}/health"): said({"status": "OK", "message": "fine"})
            for uid in ("prometheus", "tempo", "loki")
        },
        ("grafana", "/api/search"): said([{"uid": uid} for uid in boards]),
        ("grafana", f"{grafana}/proxy/uid/tempo/api/v2/traces/{READ}"): said(_trace()),
        ("grafana", f"{grafana}/proxy/uid/tempo/api/v2/traces/{FAILED}"): said(_trace()),
        ("grafana", f"{grafana}/proxy/uid/loki/loki/api/v1/query_range"): _lines,
    }


@dataclass
class Stack:
    """The pretended stack; a test changes what it answers."""

    at: Addresses
    answers: dict[tuple[str, str], Answers]
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Service and path of every request."""

    def after(self, refusals: int, part: str, path: str) -> None:
        """Answer 503 so many times before answering as now: a server that is still starting."""
        later, lock, left = self.answers[part, path], Lock(), [refusals]

        def answer(query: dict[str, str]) -> Answer:
            with lock:
                left[0] -= 1
                return (503, "starting", {}) if left[0] >= 0 else later(query)

        self.answers[part, path] = answer


@contextmanager
def pretending(boards: frozenset[str]) -> Iterator[Stack]:
    """Yield a stack in which all is well; every service is a folder of one server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            url = urlsplit(self.path)
            part, _, rest = url.path.removeprefix("/").partition("/")
            path = f"/{rest}"
            stack.asked.append((part, path))
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            status, body, headers = stack.answers.get((part, path), said("nothing here", 404))(query)
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *args: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    base = f"http://127.0.0.1:{server.server_port}"
    stack = Stack(Addresses({name: f"{base}/{name}" for name in SERVERS}), _all_well(boards))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stack
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
