"""The event stream of a flight sends every change once, to the subscribers of every process."""

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

import fastapi.routing
import httpx
import pytest
from fastapi import FastAPI

from service.api.problems import install_problems
from service.database import Database
from service.flights.events import events_router
from service.flights.schemas import Status
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
    """A client that reads an event stream in its own thread."""

    def __init__(self, client: httpx.Client, path: str, headers: dict[str, str]) -> None:
        self.events: Queue[dict[str, Any]] = Queue()
        self.comments = 0
        self._opened = threading.Event()
        self._response: httpx.Response | None = None
        self._client = httpx.Client(base_url=client.base_url, timeout=60)
        self._thread = threading.Thread(target=self._read, args=(path, headers), daemon=True)
        self._thread.start()
        assert self._opened.wait(60)

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

    def next(self, within_s: float = 60.0) -> dict[str, Any]:
        return self.events.get(timeout=within_s)

    def close(self) -> None:
        """Disconnect without reading the rest."""
        stream = self.response.extensions["network_stream"]
        stream.get_extra_info("socket").shutdown(2)
        self._thread.join(60)
        self._client.close()


@contextmanager
def subscribed(client: httpx.Client, flight_id: int = FLIGHT, *, last_version: int | None = None) -> Iterator[Stream]:
    headers = {} if last_version is None else {"Last-Event-ID": str(last_version)}
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


def test_a_subscriber_receives_the_current_state_and_then_every_change(arm: Arm) -> None:
    with subscribed(arm.client) as stream:
        first = stream.next()
        update(arm, "boarding", 3)
        update(arm, "departed", 7)
        second, third = stream.next(), stream.next()

    assert stream.response.headers["Content-Type"].startswith("text/event-stream")
    assert "no-store" in stream.response.headers["Cache-Control"]
    assert first["event"] == "status"
    assert first["data"]["version"] == 1
    assert first["data"]["changed_at"] is None
    assert (second["id"], second["data"]["status"], second["data"]["departure_delay_min"]) == ("2", "boarding", 3)
    assert (third["id"], third["data"]["status"]) == ("3", "departed")


def test_a_client_that_reconnects_receives_only_later_versions(arm: Arm) -> None:
    version = update(arm, "boarding")
    with subscribed(arm.client, last_version=version) as stream:
        update(arm, "departed")
        assert stream.next()["id"] == str(version + 1)
    with subscribed(arm.client, last_version=version) as stream:
        assert stream.next()["data"]["status"] == "departed"


def test_only_subscribers_of_the_flight_receive_its_changes(arm: Arm) -> None:
    with subscribed(arm.client) as this, subscribed(arm.client, FLIGHT + 1) as other:
        this.next()
        other.next()
        update(arm, "boarding")
        this.next()
        assert other.events.empty()


@pytest.mark.parametrize(("path", "status"), [("/flights/999999999/events", 404), ("/flights/842/events?x=1", 422)])
def test_an_unknown_flight_or_parameter_is_rejected(arm: Arm, path: str, status: int) -> None:
    assert arm.client.get(path).status_code == status


@contextmanager
def small_service(data_dir: Path, subscribers: LocalSubscribers) -> Iterator[httpx.Client]:
    app = FastAPI()
    install_problems(app)
    database = Database(arm_settings("all", data_dir))
    app.include_router(events_router(database, subscribers))
    app.router.add_event_handler("shutdown", database.close)
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def wait_for(subscribers: LocalSubscribers, count: int) -> None:
    deadline = monotonic() + 60
    while subscribers.count != count:
        assert monotonic() < deadline, subscribers.count
        sleep(0.01)


def test_a_stream_without_events_sends_comments(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.05)
    with small_service(data_dir, LocalSubscribers()) as client, subscribed(client) as stream:
        deadline = monotonic() + 60
        while stream.comments < 3 and monotonic() < deadline:
            sleep(0.01)
        assert stream.comments >= 3
        assert stream.events.qsize() == 1


def test_a_client_that_disconnects_is_unsubscribed_at_once(data_dir: Path) -> None:
    subscribers = LocalSubscribers()
    with small_service(data_dir, subscribers) as client:
        with subscribed(client):
            wait_for(subscribers, 1)
        wait_for(subscribers, 0)


def test_a_stream_over_the_limit_of_the_process_is_rejected(data_dir: Path) -> None:
    subscribers = LocalSubscribers(limit=1)
    with small_service(data_dir, subscribers) as client, subscribed(client):
        wait_for(subscribers, 1)
        rejected = client.get(f"/flights/{FLIGHT}/events")

    assert rejected.status_code == 503
    assert "Retry-After" in rejected.headers


def test_changes_reach_the_subscribers_of_every_process(data_dir: Path, own_redis: RedisServer) -> None:
    settings = arm_settings("all", data_dir, redis_url=own_redis.url)
    with running_arm(settings) as here, running_arm(settings) as there, ExitStack() as streams:
        both = [streams.enter_context(subscribed(arm.client)) for arm in (here, there)]
        assert [stream.next()["id"] for stream in both] == ["1", "1"]
        update(here, "boarding")
        assert [stream.next()["id"] for stream in both] == ["2", "2"]
        update(there, "departed")
        assert [stream.next()["id"] for stream in both] == ["3", "3"]
        assert all(stream.events.empty() for stream in both), "each change is sent once"


def test_changes_missed_while_redis_was_down_are_sent_after_it(data_dir: Path, own_redis: RedisServer) -> None:
    settings = arm_settings("all", data_dir, redis_url=own_redis.url)
    with ExitStack() as stack:
        here, there = (stack.enter_context(running_arm(settings)) for _ in range(2))
        near, far = (stack.enter_context(subscribed(arm.client)) for arm in (here, there))
        near.next()
        far.next()
        own_redis.stop()
        update(here, "boarding")
        assert near.next()["id"] == "2", "subscribers of the same process do not depend on Redis"
        own_redis.start()
        assert far.next(within_s=60)["id"] == "2"
        update(there, "departed")
        assert near.next()["id"] == far.next()["id"] == "3"


async def test_a_slow_subscriber_has_a_bounded_queue_and_has_to_resync() -> None:
    subscribers = LocalSubscribers(queue_size=4)
    async with subscribers.subscribe(CHANGE.flight_id) as changes:
        for version in range(2, 10):
            await subscribers.notify(replace(CHANGE, version=version))
        queued = [changes.get_nowait() for _ in range(changes.qsize())]

    assert queued == [RESYNC, *(replace(CHANGE, version=version) for version in (7, 8, 9))]
    assert subscribers.count == 0
