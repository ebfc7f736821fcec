"""The event stream of a flight: every change once, to every subscriber on every process, and nothing is left behind."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.problems import install_problems
from service.database import Database
from service.flights.events import events_router
from service.flights.status import Status
from service.flights.subscribers import RESYNC, LocalSubscribers, StatusChanged
from tests.servers.arm import BEARER, Arm, arm_settings, running_arm
from tests.servers.asgi import serving
from tests.servers.redis import RedisServer

FLIGHT = 842
CHANGE = StatusChanged(
    flight_id=7,
    version=2,
    before=Status.SCHEDULED,
    after=Status.BOARDING,
    departure_delay_min=None,
    changed_at=datetime(2013, 1, 1, 12, tzinfo=UTC),
    trace_id=None,
)


class Stream:
    """A client of an event stream, which reads in a thread of its own."""

    def __init__(self, client: httpx.Client, path: str, headers: dict[str, str]) -> None:
        self.events: Queue[dict[str, Any]] = Queue()
        self.comments = 0
        self._opened = threading.Event()
        self._response: httpx.Response | None = None
        self._client = httpx.Client(base_url=client.base_url, timeout=30)
        self._thread = threading.Thread(target=self._read, args=(path, headers), daemon=True)
        self._thread.start()
        assert self._opened.wait(10)

    def _read(self, path: str, headers: dict[str, str]) -> None:
        with self._client.stream("GET", path, headers=headers) as response:
            self._response = response
            self._opened.set()
            event: dict[str, Any] = {}
            try:
                for line in response.iter_lines():
                    name, _, value = line.partition(": ")
                    if line.startswith(":"):
                        self.comments += 1
                    elif name == "data":
                        event["data"] = json.loads(value)
                    elif name in {"event", "id"}:
                        event[name] = value
                    elif not line and "data" in event:
                        self.events.put(event)
                        event = {}
            except (httpx.ReadError, httpx.RemoteProtocolError, httpx.StreamClosed):
                return

    @property
    def response(self) -> httpx.Response:
        assert self._response is not None
        return self._response

    def next(self, within_s: float = 10) -> dict[str, Any]:
        return self.events.get(timeout=within_s)

    def close(self) -> None:
        """Go away without a word, as clients do."""
        stream = self.response.extensions["network_stream"]
        stream.get_extra_info("socket").shutdown(2)
        self._thread.join(10)
        self._client.close()


@contextmanager
def watching(client: httpx.Client, flight_id: int = FLIGHT, *, knows: int | None = None) -> Iterator[Stream]:
    headers = {} if knows is None else {"Last-Event-ID": str(knows)}
    stream = Stream(client, f"/flights/{flight_id}/events", headers)
    try:
        yield stream
    finally:
        stream.close()


def update(arm: Arm, status: str, delay: int | None = None) -> int:
    """Change the flight's status; return its version."""
    body = {"status": status, "departure_delay_min": delay}
    response = arm.client.patch(f"/flights/{FLIGHT}/status", json=body, headers=BEARER)
    assert response.status_code == 200, response.text
    version: int = response.json()["version"]
    return version


@pytest.fixture
def arm(data_dir: Path) -> Iterator[Arm]:
    with running_arm(arm_settings("all", data_dir)) as arm:
        yield arm


def test_a_watcher_is_told_the_state_and_then_every_change(arm: Arm) -> None:
    with watching(arm.client) as stream:
        first = stream.next()
        update(arm, "boarding", 3)
        update(arm, "departed", 7)
        second, third = stream.next(), stream.next()

    assert stream.response.headers["Content-Type"].startswith("text/event-stream")
    assert stream.response.headers["Cache-Control"] == "no-store"
    assert first["event"] == "status"
    assert first["data"]["version"] == 1
    assert first["data"]["changed_at"] is None
    assert (second["id"], second["data"]["status"], second["data"]["departure_delay_min"]) == ("2", "boarding", 3)
    assert (third["id"], third["data"]["status"]) == ("3", "departed")


def test_a_client_that_reconnects_is_told_only_what_it_does_not_know(arm: Arm) -> None:
    version = update(arm, "boarding")
    with watching(arm.client, knows=version) as stream:
        update(arm, "departed")
        assert stream.next()["id"] == str(version + 1)
    with watching(arm.client, knows=version) as stream:
        assert stream.next()["data"]["status"] == "departed"


def test_only_the_watchers_of_the_flight_are_told(arm: Arm) -> None:
    with watching(arm.client) as this, watching(arm.client, FLIGHT + 1) as other:
        this.next()
        other.next()
        update(arm, "boarding")
        this.next()
        assert other.events.empty()


@pytest.mark.parametrize(("path", "status"), [("/flights/999999999/events", 404), ("/flights/842/events?x=1", 422)])
def test_what_can_not_be_watched_is_refused(arm: Arm, path: str, status: int) -> None:
    assert arm.client.get(path).status_code == status


@contextmanager
def small_service(data_dir: Path, subscribers: LocalSubscribers, *, heartbeat_s: float = 60) -> Iterator[httpx.Client]:
    app = FastAPI()
    install_problems(app)
    database = Database(arm_settings("all", data_dir))
    app.include_router(events_router(database, subscribers, heartbeat_s=heartbeat_s))
    app.router.add_event_handler("shutdown", database.close)
    with serving(app) as url, httpx.Client(base_url=url, timeout=10) as client:
        yield client


def wait_for(subscribers: LocalSubscribers, count: int) -> None:
    deadline = monotonic() + 5
    while subscribers.count != count:
        assert monotonic() < deadline, subscribers.count
        sleep(0.01)


def test_a_silent_stream_says_that_it_lives(data_dir: Path) -> None:
    with small_service(data_dir, LocalSubscribers(), heartbeat_s=0.05) as client, watching(client) as stream:
        deadline = monotonic() + 5
        while stream.comments < 3 and monotonic() < deadline:
            sleep(0.01)
        assert stream.comments >= 3
        assert stream.events.qsize() == 1


def test_a_watcher_that_goes_away_is_forgotten_before_the_next_heartbeat(data_dir: Path) -> None:
    subscribers = LocalSubscribers()
    with small_service(data_dir, subscribers) as client:
        with watching(client):
            wait_for(subscribers, 1)
        wait_for(subscribers, 0)


def test_no_more_watchers_are_let_in_than_a_process_serves(data_dir: Path) -> None:
    subscribers = LocalSubscribers(limit=1)
    with small_service(data_dir, subscribers) as client, watching(client):
        wait_for(subscribers, 1)
        refused = client.get(f"/flights/{FLIGHT}/events")

    assert refused.status_code == 503
    assert "Retry-After" in refused.headers


def test_changes_reach_the_watchers_of_every_process(data_dir: Path, own_redis: RedisServer) -> None:
    settings = arm_settings("all", data_dir, redis_url=own_redis.url)
    with running_arm(settings) as here, running_arm(settings) as there, ExitStack() as streams:
        both = [streams.enter_context(watching(arm.client)) for arm in (here, there)]
        assert [stream.next()["id"] for stream in both] == ["1", "1"]
        update(here, "boarding")
        assert [stream.next()["id"] for stream in both] == ["2", "2"]
        update(there, "departed")
        assert [stream.next()["id"] for stream in both] == ["3", "3"]
        assert all(stream.events.empty() for stream in both), "nobody is told twice"


def test_what_was_missed_while_redis_was_away_is_told_when_it_is_back(data_dir: Path, own_redis: RedisServer) -> None:
    settings = arm_settings("all", data_dir, redis_url=own_redis.url)
    with ExitStack() as stack:
        here, there = (stack.enter_context(running_arm(settings)) for _ in range(2))
        near, far = (stack.enter_context(watching(arm.client)) for arm in (here, there))
        near.next()
        far.next()
        own_redis.stop()
        update(here, "boarding")
        assert near.next()["id"] == "2", "the subscribers of the same process need no Redis"
        own_redis.start()
        assert far.next(within_s=20)["id"] == "2"
        update(there, "departed")
        assert near.next()["id"] == far.next()["id"] == "3"


async def test_a_watcher_that_does_not_keep_up_costs_bounded_memory_and_is_told_to_look_again() -> None:
    subscribers = LocalSubscribers(queue_size=4)
    async with subscribers.subscribe(CHANGE.flight_id) as changes:
        for version in range(2, 10):
            await subscribers.notify(replace(CHANGE, version=version))
        waiting = [changes.get_nowait() for _ in range(changes.qsize())]

    assert waiting == [RESYNC, *(replace(CHANGE, version=version) for version in (7, 8, 9))]
    assert subscribers.count == 0
