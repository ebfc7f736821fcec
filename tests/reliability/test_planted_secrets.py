"""Secrets in settings and requests appear in nothing that the service writes, stores or sends."""

import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from observability.testing.error_server import ErrorServer
from tests.reliability.effort import Effort
from tests.servers.export_worker import running_worker
from tests.servers.otlp import Collector, collecting
from tests.servers.port import free_port
from tests.servers.process import ServiceProcess, starting

MARK: Final = "zq9x"
"""Prefix of every planted secret; its place follows."""


def planted(place: str) -> str:
    """Return the secret of a place."""
    return f"{MARK}-{place}-7f3a"


TOKEN: Final = planted("token")
FORMER: Final = planted("former-token")
HEADERS: Final = {
    "Cookie": f"session={planted('cookie')}; theme={planted('cookie2')}",
    "X-Api-Key": planted("api-key"),
    "Proxy-Authorization": f"Basic {planted('proxy')}",
    "tracestate": f"vendor={planted('tracestate')}",
    "baggage": f"user={planted('baggage')},{planted('baggage-name')}=1",
    "Referer": f"https://example.org/?t={planted('referer')}",
    "Origin": f"https://{planted('origin')}.example",
    "If-None-Match": f'"{planted("etag")}"',
    "If-Match": f'"{planted("if-match")}"',
    "Last-Event-ID": planted("event-id"),
    "Range": f"bytes={planted('range')}",
    "X-Whatever": planted("header"),
}
QUERY: Final = planted("query")
BODY: Final = planted("body")
NAME: Final = planted("name")
"""The name of a parameter: only the response to its client may have it."""
PATH: Final = planted("path")
"""Paths are no secrets: logs, spans, error reports and problem documents have them. Labels do not."""

GETS: Final = (
    "/",
    "/livez",
    "/readyz",
    "/airports",
    "/airports/JFK",
    "/airports/JFK/nearest?limit=3",
    "/airlines",
    "/flights?limit=2",
    "/flights/10",
    "/airports/JFK/departures?date=2013-07-01",
    "/reports/delays?by=carrier",
    "/reports/routes?limit=3",
    "/weather/JFK?at=2013-07-01T12:00:00Z",
    "/itineraries?origin=JFK&destination=LAX&date=2013-07-01",
    "/openapi.json",
    f"/flights?cursor={QUERY}",
    f"/flights?origin={QUERY}&sort={QUERY}&fields={NAME}",
    f"/flights/10?token={QUERY}",
    f"/flights/10?{NAME}",
    f"/reports/delays?by={QUERY}&month={QUERY}",
    f"/weather/JFK?at={QUERY}",
    f"/itineraries?origin={QUERY}&date={QUERY}",
    f"/airports/{PATH}",
    f"/airports/{PATH}/nearest",
    f"/airports/{PATH}/departures?date=2013-07-01",
    f"/flights/{PATH}",
    f"/flights/{PATH}/events",
    f"/weather/{PATH}",
    f"/exports/{PATH}",
    f"/exports/{PATH}/file",
    f"/{PATH}",
)
WRITES: Final = (
    ("PATCH", "/flights/10/status", {"status": "departed", "departure_delay_min": 5}),
    ("PATCH", "/flights/10/status", {"status": BODY, "note": BODY}),
    ("PATCH", f"/flights/{PATH}/status", {"status": "departed"}),
    ("POST", "/exports", {"carrier": "HA"}),
    ("POST", "/exports", {"carrier": BODY, "password": BODY}),
    ("DELETE", f"/exports/{PATH}", None),
    ("POST", "/error", None),
    ("POST", f"/error?secret={QUERY}", {"password": BODY}),
    ("PUT", "/flights/10", {"x": BODY}),
)


@dataclass
class Outputs:
    """The responses of the service, and everything else that it wrote or sent."""

    responses: list[httpx.Response] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    """Everything else, by where it was found."""

    def found(self) -> set[tuple[str, str]]:
        """Return where a planted secret is, and which."""
        secret = re.compile(rf"{MARK}-[a-z0-9-]+-7f3a", re.IGNORECASE)
        places = set()
        for where, text in self.written.items():
            may_have_paths = where in {"log", "spans", "error reports"}
            places |= {(where, one) for one in secret.findall(text) if not (may_have_paths and one == PATH)}
        for response in self.responses:
            where = f"response {response.status_code} to {response.request.method} {response.request.url.path}"
            secrets = set(secret.findall(f"{response.headers} {response.text}"))
            places |= {(where, one) for one in secrets - {PATH, NAME}}
        return places


def send_everything(service: ServiceProcess, outputs: Outputs) -> None:
    """Send every request with secrets in it, with the token, with a wrong one, and with none."""
    bearers = (f"Bearer {TOKEN}", f"Bearer {planted('wrong-token')}", f"Basic {planted('basic')}")
    with httpx.Client(base_url=service.url, timeout=60) as client:
        for number, authorization in enumerate(bearers):
            headers = {**HEADERS, "Authorization": authorization}
            if number:
                headers["traceparent"] = f"00-{planted('traceparent')}-01"
            for path in GETS:
                outputs.responses.append(client.get(path, headers=headers))
            for method, path, body in WRITES:
                for without in ((), ("If-Match",)):
                    kept = {name: value for name, value in headers.items() if name not in without}
                    outputs.responses.append(client.request(method, path, json=body, headers=kept))
        broken = {**HEADERS, "Authorization": bearers[0], "Content-Type": "application/json"}
        for content in (f'{{"status": "{BODY}', BODY * 20_000):
            with suppress(httpx.TransportError):  # the second is rejected while it is being sent
                outputs.responses.append(client.patch("/flights/10/status", content=content, headers=broken))
        with ThreadPoolExecutor(12) as clients:
            target = "/flights?min_delay_min={}&limit=500"
            outputs.responses += clients.map(lambda n: client.get(target.format(n), headers=HEADERS), range(36))
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), 5) as connection,
    ):
        connection.sendall(f"GET /{QUERY} {QUERY}\r\n{QUERY}\r\n\r\n".encode())
        outputs.written["response to no HTTP"] = connection.recv(4096).decode("latin-1")
    exposition = {"Accept": "application/openmetrics-text"}
    for name, accepted in (("metrics", {}), ("OpenMetrics", exposition)):
        outputs.written[name] = httpx.get(service.metrics_url, headers=accepted).text


def spans_as_text(messages: list[ResourceSpans]) -> str:
    """Return every span with its names, attributes, events, links and state as text."""
    return "\n".join(str(message) for message in messages)


@contextmanager
def service_with_secrets(
    data_dir: Path, directory: Path, settings: Mapping[str, str]
) -> Iterator[tuple[ServiceProcess, Any]]:
    """Yield a service with a secret in every setting, and the servers that it reports to."""
    with ExitStack() as stack:
        collector: Collector = stack.enter_context(collecting())
        errors = stack.enter_context(ErrorServer())
        environment: dict[str, Any] = {
            "WRITE_TOKEN": TOKEN,
            "WRITE_TOKEN_PREVIOUS": FORMER,
            "SENTRY_DSN": errors.dsn.replace("public", planted("dsn")),
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={planted('otlp-header')}",
            "OTEL_TRACES_SAMPLER": "always_on",
            "LOG_LEVEL": "debug",
            "WEATHER_URL": f"http://127.0.0.1:{free_port()}",
            "REDIS_URL": f"redis://:{planted('redis')}@127.0.0.1:{free_port()}/0",
            "WRITE_RATE_LIMIT": "none",
            "EXPORT_RATE_LIMIT": "none",
            "POOL_SIZE": "1",
            "POOL_MAX_OVERFLOW": "0",
            "POOL_TIMEOUT_S": "0.02",
            **settings,
        }
        port, metrics_port = free_port(), free_port()
        log = directory / "log"
        running = starting(data_dir, log=log, port=port, metrics_port=metrics_port, **environment)
        service = stack.enter_context(running)
        yield service, (collector, errors)


def until_it_listens(service: ServiceProcess) -> None:
    """Return when the process responds, ready or not."""
    deadline = monotonic() + 60
    while monotonic() < deadline:
        with suppress(httpx.TransportError):
            httpx.get(f"{service.url}/livez")
            return
        sleep(0.05)
    pytest.fail(service.log.read_text())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("kind", ["embedded", "server that is down"])
def test_no_planted_secret_is_found_in_any_output(
    few_flights: Path, tmp_path: Path, effort: Effort, kind: str, log_format: str
) -> None:
    data_dir = Path(shutil.copytree(few_flights, tmp_path / "data"))
    settings = {"LOG_FORMAT": log_format}
    if kind != "embedded":
        settings |= {
            "DATABASE_URL": f"postgresql://me:{planted('database')}@127.0.0.1:{free_port()}/flights",
            "CELERY_BROKER_URL": f"amqp://me:{planted('broker')}@127.0.0.1:{free_port()}//",
        }
    outputs = Outputs()
    with service_with_secrets(data_dir, tmp_path, settings) as (service, (collector, errors)):
        until_it_listens(service)
        if kind == "embedded":
            with running_worker(data_dir, log=tmp_path / "worker.log", WRITE_TOKEN=TOKEN, LOG_FORMAT=log_format):
                send_everything(service, outputs)
                sleep(3)
        else:
            send_everything(service, outputs)
        deadline = monotonic() + 60
        while not (collector.messages and errors.events) and monotonic() < deadline:
            sleep(0.1)
    outputs.written |= {"log": service.log.read_text(), "spans": spans_as_text(collector.messages)}
    outputs.written["error reports"] = str(errors.events)
    for file in [*data_dir.rglob("*"), tmp_path / "worker.log"]:
        if file.is_file():
            outputs.written[f"file {file.name}"] = file.read_bytes().decode("latin-1")

    statuses = {response.status_code for response in outputs.responses}
    assert statuses >= ({200, 401, 404, 422, 500, 503} if kind == "embedded" else {401, 404, 422, 500, 503})
    assert len(errors.events) > 0
    assert "POST /error" in outputs.written["spans"]
    assert "/flights" in outputs.written["metrics"]
    assert "IntentionalError" in outputs.written["log"]
    assert outputs.found() == set()
    effort.record(
        "planted secrets",
        f"{kind}, {log_format} log",
        requests=len(outputs.responses),
        places_planted=len({*HEADERS}) + 12,
        outputs_searched=len(outputs.written) + len(outputs.responses),
        found=0,
    )
