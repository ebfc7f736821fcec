"""Long-running traffic with Locust: every arm gets the same stream of requests.

    FLIGHTDECK_ARMS=baseline=http://127.0.0.1:8001,optimized=http://127.0.0.1:8002 locust -f lab/load/locustfile.py

Each reader of each arm is a separate class with one user, so that it sends the same requests on any Locust worker.
`lab.traffic.locust_settings` reads the environment variables.
"""

import os
import sys
from itertools import product
from time import monotonic
from typing import Any, ClassVar, Final

import gevent  # type: ignore[import-untyped]  # ships no types
from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import FastResponse

from lab.core.errors import LabError
from lab.load.client_state import ClientState
from lab.traffic.locust_settings import LocustLoad, Schedule

MAY_BE_MISSING: Final = frozenset({"airport", "nearest", "weather"})
"""Some destinations and some hours of weather are missing from the data, so 404 is expected."""


class WireResponse(FastResponse):
    """A response whose content is the body as received: without `Content-Encoding`, the client does not decode it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.content_encoding = ""
        if self.headers is not None:
            self.content_encoding = str(self.headers.get("content-encoding", ""))
            self.headers.pop("content-encoding", None)


class Reader(FastHttpUser):
    """A user of one arm that sends requests on a schedule and keeps validators and cursors."""

    abstract = True
    fixed_count = 1
    connection_timeout = 5.0
    arm: ClassVar[str]
    number: ClassVar[int]
    load: ClassVar[LocustLoad]

    def on_start(self) -> None:
        self.client.client.response_type = WireResponse  # type: ignore[misc]  # of this reader's client, not of all
        self._client_state = ClientState(token=self.load.token)
        self._requests = self.load.requests(self.number)
        self._schedule = Schedule(self.load.gaps_s(self.number), now=monotonic())

    def wait_time(self) -> float:
        return self._schedule.wait_s(monotonic())

    @task
    def send_request(self) -> None:
        request = next(self._requests)
        target = self._client_state.target(request)
        if self._client_state.has_response(request, target):
            return
        headers = {"accept-encoding": "identity"} | dict(self._client_state.headers(request, target))
        with self.client.request(
            request.method,
            target,
            name=f"{self.arm} {request.kind}",
            data=request.body.decode() or None,
            headers=headers,
            allow_redirects=False,
            catch_response=True,
        ) as response:
            if response.status_code == 404 and request.kind in MAY_BE_MISSING:
                response.success()
        if response.headers is not None:
            received = {name.lower(): value for name, value in response.headers.items()}
            received["content-encoding"] = getattr(response, "content_encoding", "")
            self._client_state.update(
                request,
                target,
                status=response.status_code,
                headers=received,
                body=response.content or b"" if self._client_state.needs_body(request) else b"",
            )


def readers(load: LocustLoad) -> dict[str, type[Reader]]:
    return {
        f"{arm} {number}": type(
            f"{arm} {number}",
            (Reader,),
            {"arm": arm, "number": number, "load": load, "host": url},
        )
        for (arm, url), number in product(load.arms.items(), range(1, load.readers + 1))
    }


@events.init.add_listener  # type: ignore[untyped-decorator]  # Locust's events have no types
def spawn_all_readers(environment: Any, **_: object) -> None:
    """Start all readers at once, unless the command line sets the number of users."""
    options = environment.parsed_options
    if options is not None:
        options.num_users = options.num_users or len(environment.user_classes)
        options.spawn_rate = options.spawn_rate or options.num_users


try:
    globals().update(readers(LocustLoad.from_environ(os.environ)))
except LabError as error:
    sys.exit(str(error))
# The imports may take seconds; with the outdated time of the loop, `--run-time` would include them.
gevent.get_hub().loop.update_now()
