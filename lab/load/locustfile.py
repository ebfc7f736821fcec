"""Long-running traffic by Locust: every arm gets the same light stream of requests, for as long as Locust runs.

    FLIGHTDECK_ARMS=baseline=http://127.0.0.1:8001,optimized=http://127.0.0.1:8002 locust -f lab/load/locustfile.py

Each reader of each arm is a class of its own, of which there is one user: wherever Locust puts it, on whichever of its
workers, it asks for the same. `lab.traffic.locust_settings` says which variables are read.
"""

import os
import sys
from itertools import product
from time import monotonic
from typing import Any, ClassVar, Final

from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import FastResponse

from lab.core.errors import LabError
from lab.load.client_state import ClientState
from lab.traffic.locust_settings import LocustLoad, Schedule

NOT_ALWAYS_THERE: Final = frozenset({"airport", "nearest", "weather"})
"""Four airports that people fly to are in no table, and some hours have no weather: there, 404 is an answer."""


class AsReceived(FastResponse):
    """An answer whose content is what came over the wire: its size is the compressed one, and any encoding will do."""

    def _content(self) -> bytes:
        if self.headers is None:
            return b""
        received: bytes = self.read()
        self.release()
        return received


class Reader(FastHttpUser):
    """Somebody who reads one arm: asks on a schedule, waits for the answer, remembers validators and cursors."""

    abstract = True
    fixed_count = 1
    connection_timeout = 5.0
    arm: ClassVar[str]
    number: ClassVar[int]
    load: ClassVar[LocustLoad]

    def on_start(self) -> None:
        """Begin the reader's stream."""
        self.client.client.response_type = AsReceived  # type: ignore[misc]  # of this reader's client, not of all
        self._client_state = ClientState(token=self.load.token)
        self._requests = self.load.requests(self.number)
        self._schedule = Schedule(self.load.gaps_s(self.number), now=monotonic())

    def wait_time(self) -> float:
        """Return the seconds until the next request is due."""
        return self._schedule.wait_s(monotonic())

    @task
    def ask(self) -> None:
        """Send the next request and learn from its answer."""
        request = next(self._requests)
        target = self._client_state.target(request)
        headers = {"accept-encoding": "identity"} | dict(self._client_state.headers(request, target))
        with self.client.request(
            request.method,
            target,
            name=f"{self.arm} {request.kind}",
            data=request.body.decode() or None,
            headers=headers,
            allow_redirects=False,
            catch_response=True,
        ) as answer:
            if answer.status_code == 404 and request.kind in NOT_ALWAYS_THERE:
                answer.success()
        if answer.status_code == 200 and answer.headers is not None:
            self._client_state.update(
                request,
                target,
                etag=str(answer.headers.get("etag", "")),
                encoding=str(answer.headers.get("content-encoding", "")),
                body=answer.content or b"" if self._client_state.needs_body(request) else b"",
            )


def readers(load: LocustLoad) -> dict[str, type[Reader]]:
    """Return a class for each reader of each arm."""
    return {
        f"{arm} {number}": type(
            f"{arm} {number}",
            (Reader,),
            {"arm": arm, "number": number, "load": load, "host": url},
        )
        for (arm, url), number in product(load.arms.items(), range(1, load.readers + 1))
    }


@events.init.add_listener  # type: ignore[untyped-decorator]  # Locust's events have no types
def everybody_comes(environment: Any, **_: object) -> None:
    """Start all readers, at once, unless the command line wants it otherwise."""
    options = environment.parsed_options
    if options is not None:
        options.num_users = options.num_users or len(environment.user_classes)
        options.spawn_rate = options.spawn_rate or options.num_users


try:
    globals().update(readers(LocustLoad.from_environ(os.environ)))
except LabError as error:
    sys.exit(str(error))
