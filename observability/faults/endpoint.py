"""The endpoint on the metrics port that injects faults.

`POST /debug/faults/event-loop?seconds=1` and `POST /debug/faults/pool?seconds=30`; `DELETE` ends what can be ended.
Browsers send `Origin` with such requests, and are rejected: no web page can inject a fault on a developer's host.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from observability.faults.event_loop import BlockedLoop
from observability.faults.fault import EVENT_LOOP, POOL, PREFIX, Fault

if TYPE_CHECKING:
    from sqlalchemy import Engine

MOST_S: Final = {EVENT_LOOP: 5.0, POOL: 60.0}
"""How long a fault lasts at most."""

logger: Final = logging.getLogger("observability.faults")


class _Rejected(Exception):
    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class Faults:
    """Injects one fault of each kind at a time, while the application runs."""

    def __init__(self, engines: Callable[[], "Iterable[Engine]"]) -> None:
        self._engines = engines
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: dict[str, Fault] = {}
        self._lock = Lock()

    def start(self) -> None:
        """Inject faults into the running loop, from now on."""
        self._loop = asyncio.get_running_loop()
        logger.warning("faults can be injected on the metrics port, because OBSERVABILITY_FAULTS is set")

    def stop(self) -> None:
        self._loop = None
        with self._lock:
            for fault in self._running.values():
                fault.end()

    def around(self, metrics: WSGIApplication) -> WSGIApplication:
        """Return the WSGI application of the metrics port, with the endpoint."""

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "")
            if not path.startswith(PREFIX):
                return metrics(environ, start_response)
            try:
                status, text = self._respond(environ, path.removeprefix(PREFIX))
            except _Rejected as rejected:
                status, text = rejected.status, str(rejected)
            start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"{text}\n".encode()]

        return application

    def _respond(self, environ: WSGIEnvironment, name: str) -> tuple[HTTPStatus, str]:
        if "HTTP_ORIGIN" in environ:
            raise _Rejected(HTTPStatus.FORBIDDEN, "requests of browsers are rejected")
        if name not in {EVENT_LOOP, POOL}:
            raise _Rejected(HTTPStatus.NOT_FOUND, f"no fault {name}; there are {EVENT_LOOP} and {POOL}")
        if environ["REQUEST_METHOD"] == "DELETE":
            with self._lock:
                if name in self._running:
                    self._running[name].end()
            return HTTPStatus.OK, f"{name} is ended"
        if environ["REQUEST_METHOD"] != "POST":
            raise _Rejected(HTTPStatus.METHOD_NOT_ALLOWED, "use POST to inject the fault, and DELETE to end it")
        seconds = _seconds(parse_qs(environ.get("QUERY_STRING", "")).get("seconds", [""])[-1], most=MOST_S[name])
        with self._lock:
            loop, earlier = self._loop, self._running.get(name)
            if loop is None:
                raise _Rejected(HTTPStatus.SERVICE_UNAVAILABLE, "the application does not run")
            if earlier is not None and earlier.is_running:
                raise _Rejected(HTTPStatus.CONFLICT, f"{name} is being injected already")
            self._running[name] = (
                BlockedLoop(loop, seconds=seconds) if name == EVENT_LOOP else self._held(loop, seconds)
            )
        logger.warning("fault injected: %s for %g s", name, seconds)
        return HTTPStatus.ACCEPTED, f"{name} for {seconds:g} s"

    def _held(self, loop: asyncio.AbstractEventLoop, seconds: float) -> Fault:
        if not (engines := list(self._engines())):
            raise _Rejected(HTTPStatus.NOT_FOUND, "no engine is observed")
        from observability.faults.pool import HeldPools, with_limit  # noqa: PLC0415 an extra

        if not (limited := with_limit(engines)):
            raise _Rejected(HTTPStatus.NOT_FOUND, "no observed pool has a limit")
        return HeldPools(limited, loop, seconds=seconds)


def _seconds(text: str, *, most: float) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= most:
        raise _Rejected(HTTPStatus.BAD_REQUEST, f"seconds={text} is not allowed; it is a number up to {most:g}")
    return seconds
