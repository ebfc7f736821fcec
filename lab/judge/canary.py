"""A canary from its first look to its last: reads, judges, publishes every judgement."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from lab.core.errors import BadSetting, LabError
from lab.judge.judge import Judge, Judgement
from lab.judge.series import Prometheus, Version

MOST_MISSED: Final = 3
"""Looks in a row without a response of Prometheus."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The time of day, and how to wait; injected."""

    time: Callable[[], float]
    sleep: Callable[[float], None]


def judged(
    prometheus: Prometheus, versions: tuple[Version, Version], judge: Judge, clock: Clock, *, say: Callable[[str], None]
) -> Iterator[Judgement]:
    """Yield the judgement after each look; the last one is final.

    Raise `LabError` if Prometheus cannot be read at first, at last, or several times in a row.
    """
    started, missed = clock.time(), 0
    prometheus.look(versions, at=started)
    for number in range(1, judge.planned + 1):
        clock.sleep(max(started + number * judge.every_s - clock.time(), 0.0))
        at = clock.time()
        try:
            before, after = prometheus.look(versions, at=at)
        except LabError as error:
            missed += 1
            if missed > MOST_MISSED or number == judge.planned:
                raise
            say(f"{error}; the next look has the requests of this one")
            continue
        missed = 0
        judgement = judge.add(before, after, elapsed_s=at - started)
        yield judgement
        if judgement.is_final:
            return


class Published:
    """The latest judgement, served as JSON.

    `GET` returns it with 200, for Argo Rollouts' web metric. `POST`, as Flagger's webhooks send it, returns 412 if the
    candidate failed, else 200.
    """

    def __init__(self) -> None:
        self.judgement: Judgement | None = None

    def status(self, method: str) -> int:
        return 412 if method == "POST" and self.judgement is not None and self.judgement.verdict == "fail" else 200

    def body(self) -> bytes:
        latest = self.judgement
        found = (
            {"verdict": "undecided", "reason": "no look yet", "is_final": False}
            if latest is None
            else latest.model_dump()
        )
        return json.dumps(found).encode()

    @contextmanager
    def served(self, host: str, port: int | None) -> Iterator[str]:
        """Serve it (not at all without a port) and yield the URL. Raise `BadSetting` if the address is not free."""
        if port is None:
            yield ""
            return
        published = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._respond()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                self._respond()

            def _respond(self) -> None:
                body = published.body()
                self.send_response(published.status(self.command))
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Write nothing."""

        try:
            server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise BadSetting("--host and --port", f"{host}:{port}", f"a free address ({error.strerror})") from error
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
