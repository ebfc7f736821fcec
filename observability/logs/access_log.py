"""The access log: one record per request, queued by the request and written by a thread."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from threading import Event, Thread
from time import gmtime, strftime, time
from typing import Final, TextIO

from starlette.types import Scope

from observability.core.internal_errors import suppress_internal_errors
from observability.export.counts import ExportCounts
from observability.logs.fields import text
from observability.request.record import RequestRecord

QUEUE_SIZE: Final = 10_000
"""Limit of queued records; further ones are dropped and counted, which happens while the stream blocks."""

WRITE_EVERY_S: Final = 0.2
BATCH_SIZE: Final = 64
"""Lines per write: the thread holds the GIL for 0.2 ms at a time."""


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """The log record of a finished request."""

    at_s: float
    """Its end, in seconds since the epoch."""
    method: str
    path: str
    handler: str
    status: int | str
    seconds: float
    received: int
    sent: int
    client: str
    trace_id: int
    span_id: int
    request_id: str

    @property
    def level(self) -> str:
        """`error` for status 5xx, else `info`."""
        return "error" if isinstance(self.status, int) and self.status >= 500 else "info"


Renderer = Callable[[AccessRecord], str]


class AccessLog:
    def __init__(self, *, counts: ExportCounts) -> None:
        self._counts = counts
        self._queue: deque[AccessRecord] = deque()
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(
        self, stream: TextIO | None, render: Renderer, sink: Callable[[AccessRecord], None] | None = None
    ) -> None:
        """Start writing to the stream, if there is one; `sink` is called with every record too."""
        if stream is None and sink is None:
            return
        self._stopped = Event()
        self._thread = Thread(
            target=self._run, args=(stream, render, sink), name="observability-access-log", daemon=True
        )
        self._thread.start()

    def stop(self, *, timeout_s: float) -> None:
        if self._thread is not None:
            self._stopped.set()
            self._thread.join(timeout_s)
            self._thread = None

    def observe(self, record: RequestRecord, *, handler: str, status: int | str, ended: float, **_: object) -> None:
        if self._thread is None:
            return
        if len(self._queue) >= QUEUE_SIZE:
            self._counts.dropped("access_log")
            return
        scope = record.scope
        self._queue.append(
            AccessRecord(
                time(),
                scope["method"],
                scope["path"],
                handler,
                status,
                ended - record.started,
                record.received,
                record.sent,
                _client(scope),
                record.trace_id,
                record.span_id,
                record.client_request_id,
            )
        )

    def _run(self, stream: TextIO | None, render: Renderer, sink: Callable[[AccessRecord], None] | None) -> None:
        while not self._stopped.wait(WRITE_EVERY_S):
            with suppress_internal_errors("access_log"):
                self._write(stream, render, sink)
        with suppress_internal_errors("access_log"):
            self._write(stream, render, sink)

    def _write(self, stream: TextIO | None, render: Renderer, sink: Callable[[AccessRecord], None] | None) -> None:
        queue = self._queue
        while queue:
            batch = [queue.popleft() for _ in range(min(BATCH_SIZE, len(queue)))]
            if stream is not None:
                stream.write("".join(map(render, batch)))
                stream.flush()
            if sink is not None:
                for access in batch:
                    sink(access)


def quoted(value: str) -> str:
    """Return the text in JSON's quotes."""
    return encode_basestring_ascii(value if value.isascii() else text(value))


def json_line(access: AccessRecord) -> str:
    """Return the record as a line of JSON; what the client chose is escaped, so that it remains one line."""
    return (
        f'{{"timestamp":"{_timestamp(access.at_s)}","level":"{access.level}","logger":"observability.access",'
        f'"message":"request","method":{quoted(access.method)},"path":{quoted(access.path)},'
        f'"handler":{quoted(access.handler)},"status":{_json_status(access.status)},'
        f'"duration_ms":{access.seconds * 1000:.3f},"received_bytes":{access.received},"sent_bytes":{access.sent},'
        f'"client":{quoted(access.client)},"trace_id":"{access.trace_id:032x}","span_id":"{access.span_id:016x}",'
        f'"request_id":{quoted(access.request_id or f"{access.span_id:016x}")}}}\n'
    )


def console_line(access: AccessRecord) -> str:
    path = quoted(access.path)[1:-1]
    return (
        f"{_timestamp(access.at_s)} [{access.level:<5}] {access.method} {path} {access.status} "
        f"{access.seconds * 1000:.1f} ms {access.sent} B trace_id={access.trace_id:032x}\n"
    )


def _json_status(status: int | str) -> str:
    return str(status) if isinstance(status, int) else quoted(status)


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _timestamp(at_s: float) -> str:
    whole = int(at_s)
    return f"{_seconds(whole)}.{int((at_s - whole) * 1000):03d}Z"


_cached: dict[int, str] = {}


def _seconds(whole: int) -> str:
    """Return the time without its fraction, cached for the records of a second."""
    text = _cached.get(whole)
    if text is None:
        _cached.clear()
        text = _cached[whole] = strftime("%Y-%m-%dT%H:%M:%S", gmtime(whole))
    return text
