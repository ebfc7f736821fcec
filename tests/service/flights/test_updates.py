"""Status updates: authorisation, the written rows, the invalidated responses."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from service.cache.invalidators import Invalidators
from service.database import Database
from service.errors import ConcurrentUpdate
from service.flights.schemas import Status, StatusUpdate
from service.flights.updates import ATTEMPTS, StatusUpdates
from service.techniques import ARMS
from tests.servers.arm import BEARER, WRITE_TOKEN, Arm, arm_settings, running_arm
from tests.service.rows import rows


@pytest.fixture(scope="module")
def shared_data(sparse_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that the tests of this module change, each its own flights."""
    return Path(shutil.copytree(sparse_flights, tmp_path_factory.mktemp("updates") / "data"))


@pytest.fixture(scope="module", params=["indexes", "all"])
def arm(request: pytest.FixtureRequest, shared_data: Path) -> Iterator[Arm]:
    with running_arm(arm_settings(request.param, shared_data)) as running:
        yield running


@pytest.fixture
def untouched(shared_data: Path) -> dict[str, Any]:
    """A flight that arrived and was not updated yet."""
    [flight] = rows(shared_data, "SELECT * FROM flights WHERE version = 1 AND status = 'arrived' LIMIT 1")
    return flight


def update(arm: Arm, flight_id: int, **body: Any) -> httpx.Response:
    return arm.client.patch(f"/flights/{flight_id}/status", json=body, headers=BEARER)


def audited(data_dir: Path, flight_id: int) -> dict[str, Any]:
    """Return the audit record of a flight, which has exactly one once the response is sent."""
    [record] = rows(data_dir, f"SELECT * FROM status_changes WHERE flight_id = {int(flight_id)}")  # noqa: S608 a number
    return record


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="flightdeck"'),
        ({"Authorization": "Bearer"}, 'Bearer realm="flightdeck"'),
        ({"Authorization": f"Basic {WRITE_TOKEN}"}, 'Bearer realm="flightdeck"'),
        ({"Authorization": "Bearer wrong"}, 'Bearer realm="flightdeck", error="invalid_token"'),
        ({"Authorization": f"Bearer {WRITE_TOKEN}x"}, 'Bearer realm="flightdeck", error="invalid_token"'),
        ({"Authorization": "Bearer ü".encode("latin-1")}, 'Bearer realm="flightdeck", error="invalid_token"'),
    ],
    ids=str,
)
def test_without_the_right_token_nothing_is_written(
    arm: Arm, untouched: dict[str, Any], headers: dict[str, Any], challenge: str
) -> None:
    address = f"/flights/{untouched['id']}"
    response = arm.client.patch(f"{address}/status", json={"status": "cancelled"}, headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == challenge
    assert arm.client.get(address).json()["version"] == 1


def test_without_a_configured_token_writes_are_disabled(data_dir: Path) -> None:
    with running_arm(arm_settings("none", data_dir, write_token="")) as arm:
        response = arm.client.patch("/flights/5/status", json={"status": "cancelled"}, headers=BEARER)

    assert response.status_code == 403
    assert response.json()["type"] == "urn:problem-type:flightdeck:writes-disabled"


def test_a_token_may_have_any_characters(data_dir: Path) -> None:
    token = "clé 🔑"
    with running_arm(arm_settings("none", data_dir, write_token=token)) as arm:
        headers = {b"Authorization": f"Bearer {token}".encode()}
        assert arm.client.patch("/flights/5/status", json={"status": "boarding"}, headers=headers).status_code == 200


def test_an_update_writes_the_next_version_and_an_audit_record(
    arm: Arm, shared_data: Path, untouched: dict[str, Any]
) -> None:
    flight_id = untouched["id"]
    before = arm.client.get(f"/flights/{flight_id}").json()

    response = update(arm, flight_id, status="departed", departure_delay_min=77)

    assert response.status_code == 200
    after = before | {"status": "departed", "departure_delay_min": 77, "version": 2}
    assert response.json() == after
    assert arm.client.get(f"/flights/{flight_id}").json() == after
    change = audited(shared_data, flight_id)
    changed_at = datetime.fromisoformat(change.pop("changed_at"))
    assert change.pop("id") >= 1
    assert change == {
        "flight_id": flight_id,
        "version": 2,
        "status_before": "arrived",
        "status_after": "departed",
        "departure_delay_min": 77,
        "trace_id": response.headers["X-Trace-Id"],
    }
    assert abs(datetime.now(UTC).replace(tzinfo=None) - changed_at) < timedelta(minutes=1)


KEPT = 99_999
"""Placeholder for the previous delay."""


@pytest.mark.parametrize(
    ("body", "delay"),
    [
        ({"status": "boarding"}, KEPT),
        ({"status": "departed", "departure_delay_min": -4}, -4),
        ({"status": "scheduled", "departure_delay_min": None}, None),
        ({"status": "cancelled"}, None),
        ({"status": "cancelled", "departure_delay_min": None}, None),
    ],
)
def test_a_delay_stays_unless_it_is_given_or_the_flight_is_cancelled(
    arm: Arm, untouched: dict[str, Any], body: dict[str, Any], delay: int | None
) -> None:
    wanted = untouched["departure_delay_min"] if delay == KEPT else delay

    assert update(arm, untouched["id"], **body).json().get("departure_delay_min") == wanted


TOUCHED = (
    "/flights?origin=LGA&date_from=2013-01-01&date_to=2013-01-01&status=boarding",
    "/airports/LGA/departures?date=2013-01-01",
    "/reports/delays?by=carrier",
    "/reports/delays?by=carrier&origin=LGA",
    "/reports/delays?by=carrier&month=2013-01",
    "/reports/delays?by=hour&origin=LGA&month=2013-01",
    "/reports/routes?month=2013-01&limit=200",
)
UNTOUCHED = (
    "/airports/EWR/departures?date=2013-01-01",
    "/airports/LGA/departures?date=2013-01-02",
    "/reports/delays?by=carrier&origin=EWR",
    "/reports/delays?by=carrier&month=2013-07",
    "/airports",
)


@pytest.mark.parametrize("techniques", ["indexes,response_cache", "indexes,local_cache", "caching", "all"])
def test_an_update_invalidates_exactly_the_responses_that_depend_on_the_flight(data_dir: Path, techniques: str) -> None:
    on = ARMS["caching"] | {"indexes"} if techniques == "caching" else techniques
    with running_arm(arm_settings(on, data_dir)) as arm:
        [flight] = rows(data_dir, "SELECT id FROM flights WHERE origin = 'LGA' AND destination = 'ATL' LIMIT 1")
        addresses = (f"/flights/{flight['id']}", *TOUCHED)
        before = {address: arm.client.get(address).text for address in addresses}
        for address in (*addresses, *UNTOUCHED):
            arm.client.get(address)

        update(arm, flight["id"], status="boarding", departure_delay_min=1300)

        after = {address: arm.client.get(address).text for address in addresses}
        statuses = [arm.client.get(address).headers.get("Cache-Status", "") for address in UNTOUCHED]
    assert [address for address in addresses if before[address] == after[address]] == []
    kept = [status for status in statuses if "hit" in status]
    assert len(kept) == {"indexes,response_cache": 4, "indexes,local_cache": 1}.get(techniques, 5)


class AnyoneCommits(Database):
    """A database without locks, in which another writer overtakes a number of updates."""

    def __init__(self, data_dir: Path, *, overtaken: int) -> None:
        super().__init__(arm_settings("indexes,pooling", data_dir))
        self.overtaken = overtaken
        self.engines["primary"] = self.unlocked = create_async_engine(
            f"sqlite+aiosqlite:///{data_dir / 'flightdeck.db'}", isolation_level="AUTOCOMMIT"
        )
        event.listen(self.unlocked.sync_engine, "before_cursor_execute", self._overtake)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self.unlocked) as session:
            yield session

    def _overtake(self, *arguments: Any) -> None:
        if arguments[2].startswith("UPDATE") and self.overtaken:
            self.overtaken -= 1
            with closing(sqlite3.connect(str(self.unlocked.url.database))) as other, other:
                other.execute("UPDATE flights SET version = version + 1, status = 'diverted' WHERE id = 1")


@pytest.mark.anyio
async def test_an_overtaken_update_is_retried_on_the_newer_version(data_dir: Path) -> None:
    database = AnyoneCommits(data_dir, overtaken=2)
    try:
        updated = await StatusUpdates(database, cache=Invalidators()).apply(1, StatusUpdate(status=Status.BOARDING))
    finally:
        await database.close()

    assert updated.flight.version == 4
    assert updated.change.before is Status.DIVERTED
    assert rows(data_dir, "SELECT status, version FROM flights WHERE id = 1") == [{"status": "boarding", "version": 4}]


@pytest.mark.anyio
async def test_an_update_that_is_always_overtaken_is_a_conflict(data_dir: Path) -> None:
    database = AnyoneCommits(data_dir, overtaken=ATTEMPTS)
    try:
        with pytest.raises(ConcurrentUpdate, match="nothing was written"):
            await StatusUpdates(database, cache=Invalidators()).apply(1, StatusUpdate(status=Status.BOARDING))
    finally:
        await database.close()

    [flight] = rows(data_dir, "SELECT status FROM flights WHERE id = 1")
    assert flight == {"status": "diverted"}
