"""A check without evidence is not passed, and a service that does not respond ends all checks."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware as Added
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from typer.testing import CliRunner

from flightdeck.cli import app as command_line
from observability.doctor import NotAnApplication, Result, Unreachable, run_checks, scrape, service
from observability.doctor.application import Application, load
from observability.doctor.application_checks import APPLICATION_CHECKS
from observability.doctor.metrics_checks import SERVICE_CHECKS
from observability.doctor.service import Service
from tests.servers.asgi import serving

NEED_METRICS = [check.name for check in SERVICE_CHECKS[2:-1]]


@contextmanager
def speaking(respond: Callable[[socket.socket], None]) -> Iterator[str]:
    """Yield the URL of a server that responds to every connection with the function, then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        respond(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def ssh(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"SSH-2.0-x\r\n")


def close(_: socket.socket) -> None: ...


@pytest.mark.parametrize("respond", [ssh, close])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_without_http_responses_is_unreachable(respond: Callable[[socket.socket], None], scheme: str) -> None:
    with speaking(respond) as url, pytest.raises(Unreachable):
        run_checks(url.replace("http", scheme), metrics_url=f"{url}/metrics")


def test_a_server_that_never_responds_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        result = CliRunner().invoke(command_line, ["doctor", url])
    assert (result.exit_code, result.stderr) == (2, f"{url} is unreachable: timed out\n")


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"# TYPE a gauge\na 1\n" * 1000
        await asyncio.sleep(0)  # sends to a client that has left do not wait, and the server could not end


def responding(response: Callable[[], Response]) -> Starlette:
    async def metrics(_: Request) -> Response:
        return response()

    return Starlette(routes=[Route("/metrics", metrics)])


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (lambda: Response("", 404), "status 404"),
        (lambda: Response("<p>", media_type="text/html"), "a response of type 'text/html"),
        (lambda: PlainTextResponse(""), "the response has no metrics"),
        (lambda: PlainTextResponse("# TYPE a gauge\na{b 1\n"), "cannot be parsed"),
        (lambda: StreamingResponse(endless(), media_type="text/plain"), "its body does not end"),
    ],
)
def test_without_metrics_their_checks_could_not_look(
    response: Callable[[], Response], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "MAX_BYTES", 1_000_000)
    with serving(responding(response)) as url:
        results = {result.check: result for result in run_checks(url, metrics_url=f"{url}/metrics")}
    assert reason in results["no-metrics"].messages[0]
    assert {name: results[name].status for name in NEED_METRICS} == dict.fromkeys(NEED_METRICS, "could not look")


@contextmanager
def metered(*, counts: bool) -> Iterator[tuple[str, str]]:
    """Yield the URLs of a service and of metrics on another port, which count its requests or are another's."""
    registry = CollectorRegistry()
    requests = Counter("http_requests", "Requests.", ["status"], registry=registry)
    requests.labels("404").inc(1000)

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and counts:
            requests.labels("404").inc()
        await Starlette()(scope, receive, send)

    def exposition() -> Response:
        return PlainTextResponse(generate_latest(registry))

    with serving(counted, lifespan="off") as url, serving(responding(exposition)) as metrics:
        yield url, f"{metrics}/metrics"


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("is_given", [True, False])
def test_metrics_are_the_service_s_if_they_count_its_requests(
    counts: bool, is_given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "COUNTED_WITHIN_S", 0.2)
    with metered(counts=counts) as (url, metrics_url):
        monkeypatch.setattr(service, "METRICS_PORT", int(metrics_url.split(":")[2].split("/")[0]))
        results = {result.check: result for result in run_checks(url, metrics_url=metrics_url if is_given else None)}
    assert results["no-metrics"].status == ("passed" if counts else "could not look")
    assert results["unbounded-labels"].status == ("passed" if counts else "could not look")
    assert ("did not count the 6 requests" in results["no-metrics"].reason) is not counts


@pytest.mark.parametrize("labels", [{"trace_id": "1"}, {"traceID": "1"}, {"TraceId": "1"}, {"id": "a1" * 16}])
def test_an_exemplar_may_name_its_trace_by_any_label(labels: dict[str, str]) -> None:
    exemplar = ",".join(f'{name}="{value}"' for name, value in labels.items())
    text = (
        '# TYPE http_request_duration_seconds histogram\nhttp_request_duration_seconds_bucket{le="+Inf"} 1 '
        f"# {{{exemplar}}} 1\nhttp_request_duration_seconds_count 1\nhttp_request_duration_seconds_sum 1\n# EOF\n"
    )
    media_type = "application/openmetrics-text; version=1.0.0"
    with serving(responding(lambda: Response(text, media_type=media_type))) as url:
        results = {result.check: result for result in run_checks(url)}
    assert results["no-exemplars"].status == "passed"


class Middleware:
    """Pure ASGI middleware that keeps the next application under a name of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.further = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.further(scope, receive, send)


def closure(app: ASGIApp) -> ASGIApp:
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return middleware


def examined(app: ASGIApp, check: str) -> Result:
    return next(one for one in APPLICATION_CHECKS if one.name == check).result(Application(app))


def with_base_middleware() -> Starlette:
    app = Starlette(middleware=[Added(BaseHTTPMiddleware, dispatch=_dispatch)])
    app.middleware_stack = app.build_middleware_stack()
    return app


async def _dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda app: app,
        Middleware,
        closure,
        lambda app: closure(Middleware(closure(app))),
        lambda app: Starlette(routes=[Mount("/", app)]),
    ],
    ids=["bare", "object", "closure", "nested", "mounted"],
)
def test_middleware_is_found_behind_other_layers(wrap: Callable[[ASGIApp], ASGIApp]) -> None:
    result = examined(wrap(with_base_middleware()), "base-http-middleware")
    assert list(result.messages) == ["_dispatch is a BaseHTTPMiddleware"]


def test_middleware_of_a_mounted_application_without_requests_is_found() -> None:
    inner = with_base_middleware()
    inner.middleware_stack = None
    result = examined(Starlette(routes=[Mount("/", inner)]), "base-http-middleware")
    assert list(result.messages) == ["BaseHTTPMiddleware of a mounted application is a BaseHTTPMiddleware"]


def test_an_application_without_a_visible_router_is_not_passed() -> None:
    async def opaque(scope: Scope, receive: Receive, send: Send) -> None: ...

    result = examined(opaque, "base-http-middleware")
    assert (result.status, result.reason) == ("could not look", "no router is reachable from function")
    assert examined(opaque, "blocking-call-in-async").status == "could not look"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise TypeError('bad type')", "TypeError: bad type"),
        ("int('x')", "ValueError: invalid literal"),
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("app = (", "'(' was never closed"),
        ("def app():\n    raise KeyError('x')", "KeyError: 'x'"),
    ],
)
def test_an_import_that_fails_shows_its_cause(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    name = f"failing_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(NotAnApplication, match=r"(?s)cannot be imported|does not return") as raised:
        load(f"{name}:app")
    assert message in str(raised.value)
    assert source == "app = (" or f"{name}.py" in str(raised.value)


def test_what_is_no_application_is_rejected() -> None:
    with pytest.raises(NotAnApplication, match="is no application"):
        load("math:pi")


@pytest.mark.parametrize("url", ["http://" + "a" * 70 + ".example", "http://a..b", "ftp://x", "HTTP://[::1"])
def test_a_url_that_cannot_be_one_exits_with_2(url: str) -> None:
    result = CliRunner().invoke(command_line, ["doctor", url])
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("slo", ["nan", "inf", "-1", "0"])
def test_an_objective_that_cannot_be_one_exits_with_2(slo: str) -> None:
    assert CliRunner().invoke(command_line, ["doctor", "http://127.0.0.1:9", f"--slo={slo}"]).exit_code == 2


def test_the_metrics_address_of_the_host_is_plain_http() -> None:
    assert Service("https://example.com/api?x=1").metrics_url == "http://example.com:9464/metrics"
