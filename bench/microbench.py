"""The time of each step of the instrumentation, in this process and without a server."""

from collections.abc import Callable, MutableMapping
from contextvars import Token
from dataclasses import dataclass
from time import perf_counter
from timeit import Timer
from typing import Any, Final, cast

from opentelemetry.context import Context
from prometheus_client import CollectorRegistry
from starlette.types import Message

from bench.arms import small_app
from observability import TelemetrySettings
from observability.core.resource import build_resource
from observability.export.counts import ExportCounts
from observability.http.metrics import HttpMetrics
from observability.http.request_cycle import RequestCycle
from observability.logs.access_log import AccessLog, AccessRecord, json_line
from observability.request.record import RECORD, current_request
from observability.request.route_table import RouteTable
from observability.tracing.fast_path.child_snapshot import ChildSnapshot
from observability.tracing.fast_path.otlp import SpanEncoder
from observability.tracing.fast_path.request_span import LazyServerSpan, SpanSnapshot
from observability.tracing.operations import OperationTracer
from observability.tracing.tracing import Tracing

TIMES: Final = 2_000
REPEATS: Final = 15
BATCH: Final = 100
HANDLER: Final = "/items/{item_id}"
HEADERS: Final = [
    (b"host", b"127.0.0.1"),
    (b"user-agent", b"bench"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip"),
]
START: Final = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"52")]}
BODY: Final = {"type": "http.response.body", "body": b"x" * 52}


@dataclass(frozen=True)
class Step:
    """One step of a request."""

    title: str
    where: str
    """Modules that implement it."""
    microseconds: float


def steps() -> list[Step]:
    """Return the steps in order, each with its minimum over repeats."""
    app = small_app()
    route = next(route for route in app.routes if getattr(route, "path", "") == HANDLER)
    routes, metrics = RouteTable(app), HttpMetrics(CollectorRegistry(), bounds_s=TelemetrySettings().bounds_s)
    never, always = _tracing("always_off"), _tracing("always_on")
    scope: MutableMapping[str, Any] = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/items/7",
        "query_string": b"", "headers": HEADERS, "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 5),
        "route": route, "endpoint": route.endpoint,  # type: ignore[attr-defined]  # a route of FastAPI has one
    }  # fmt: skip

    def cycle(*adds: bytes) -> RequestCycle:
        return RequestCycle(scope, _unused, _sent, routes=routes, adds=frozenset(adds))

    def in_flight() -> None:
        one = cycle()
        metrics.active.add(one)
        token = current_request.set(one)
        current_request.reset(token)
        metrics.active.discard(one)
        del scope[RECORD]

    def begun(tracing: Tracing) -> Callable[[], None]:
        one = cycle()
        return lambda: _left(tracing.begin(one, {}))

    def respond(one: RequestCycle) -> None:
        one.send(START)
        one.send(BODY)

    def ended() -> None:
        _left(always.begin(finished, {}))
        always.finish(finished, handler=HANDLER, status=200, error=None, ended=perf_counter())

    plain, timed, finished = cycle(), cycle(b"server-timing"), cycle()
    respond(finished)
    access = AccessLog(counts=ExportCounts(CollectorRegistry()))
    access_record = AccessRecord(
        1.7e9, "GET", "/items/7", HANDLER, 200, 0.0012, 0, 52, "127.0.0.1", 1 << 127, 1 << 63, ""
    )
    request, encoder = _finished(finished, always), SpanEncoder()
    unsampled, sampled = _fastest(begun(never)), _fastest(begun(always))
    without, with_header = _fastest(lambda: respond(plain)), _fastest(lambda: respond(timed))
    counted = _fastest(lambda: metrics.observe(plain, HANDLER, 200, perf_counter()))
    with_trace = _fastest(lambda: metrics.observe(finished, HANDLER, 200, perf_counter()))
    whole_span = _fastest(ended)
    operating = cycle()
    operating.started += 3600  # spans of old requests are queued one by one
    context = always.begin(operating, {})
    operations = OperationTracer(always.provider.get_tracer("fastapi"))

    def operate() -> ChildSnapshot:
        with operations.start_as_current_span("fastapi.endpoint", attributes={"code.function.name": "bench.arms.item"}):
            pass
        (ended,) = operating.taken_snapshots()
        return cast("ChildSnapshot", ended)

    operation, child = _fastest(operate), operate()
    _left(context)
    never.stop(timeout_s=1)
    always.stop(timeout_s=1)
    return [
        Step("the request's record, in the scope and in flight", "http/request_cycle", _fastest(in_flight)),
        Step("trace and span ids, the sampling decision, the context", "tracing/tracing", unsampled),
        Step("response messages observed", "http/request_cycle", without),
        Step("the `Server-Timing` header", "http/request_cycle, request/server_timing", with_header - without),
        Step("the route template", "request/route_table", _fastest(lambda: routes.template(scope, root_path=""))),
        Step("metrics, updated with those of 99 other requests", "http/metrics, metrics/histogram", counted),
        Step("if sampled: exemplars", "http/metrics, metrics/histogram", with_trace - counted),
        Step("if sampled: start of the span", "tracing/fast_path", sampled - unsampled),
        Step("if sampled: end of the span, enqueued for export", "tracing/fast_path", whole_span - sampled),
        Step(
            "if sampled: OTLP serialisation, on the export thread",
            "tracing/fast_path/otlp",
            _fastest(lambda: encoder.request([request] * BATCH), times=TIMES // BATCH) / BATCH,
        ),
        Step("with operation spans: each of them", "tracing/operations", operation),
        Step(
            "with operation spans: OTLP serialisation of each",
            "tracing/fast_path/otlp",
            _fastest(lambda: encoder.request([child] * BATCH), times=TIMES // BATCH) / BATCH,
        ),
        Step("the access record, enqueued", "logs/access_log", _fastest(lambda: _noted(access, finished))),
        Step(
            "the access record as JSON, on the writing thread",
            "logs/access_log",
            _fastest(lambda: json_line(access_record)),
        ),
    ]


def _noted(access: AccessLog, record: RequestCycle) -> None:
    access.observe(record, handler=HANDLER, status=200, ended=record.last_byte)


def _left(context: Token[Context] | None) -> None:
    if context is not None:
        context.var.reset(context)


def _tracing(sampler: str) -> Tracing:
    settings = TelemetrySettings.model_validate(
        {"traces_sampler": sampler, "otlp_endpoint": "http://127.0.0.1:9", "export_queue_size": 10**9,
         "export_delay_ms": 10**7, "export_batch_size": 10**9, "shutdown_timeout_s": 0.1}
    )  # fmt: skip
    tracing = Tracing(settings=settings, counts=ExportCounts(CollectorRegistry()))
    tracing.start(build_resource(settings, title="bench"))
    return tracing


def _finished(record: RequestCycle, tracing: Tracing) -> SpanSnapshot:
    _left(tracing.begin(record, {}))
    resource = build_resource(TelemetrySettings(), title="bench")
    end_ns = 1_700_000_000_000_000_000
    span = cast("LazyServerSpan", record.span)
    return span.snapshot(handler=HANDLER, status=200, seconds=0.0012, end_ns=end_ns, resource=resource)


def _fastest(call: Callable[[], object], *, times: int = TIMES) -> float:
    """Return the microseconds per call."""
    return min(Timer(call).repeat(REPEATS, times)) / times * 1e6


async def _unused() -> Message:
    raise AssertionError


def _sent(_: Message) -> Any:
    return None
