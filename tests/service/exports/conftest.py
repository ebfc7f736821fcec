import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tests.servers.arm import BEARER, Arm, arm_settings, running_arm
from tests.servers.shared import shared_directory

COPIES = 20
"""Of four days of flights: enough that an export takes seconds."""


@pytest.fixture(autouse=True)
def a_minute_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a broker that works, however busy the machine is; tests of one that does not set the timeout."""
    monkeypatch.setattr("service.exports.delivery.PUBLISH_TIMEOUT_S", 60.0)


@pytest.fixture
def production_timeout(a_minute_for_the_broker: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 which it overrides
    """Count a broker that hangs as down after the time of production."""
    monkeypatch.setattr("service.exports.delivery.PUBLISH_TIMEOUT_S", 1.5)


@pytest.fixture(scope="session")
def many_flights(pristine_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with about 75,000 flights; for tests to copy."""

    def write(directory: Path) -> None:
        database = directory / "flightdeck.db"
        database.write_bytes((pristine_flights / "flightdeck.db").read_bytes())
        with closing(sqlite3.connect(database)) as connection, connection:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(flights)") if row[1] != "id"]
            names = ", ".join(columns)
            numbers = "WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < ?)"
            copied = f"INSERT INTO flights (id, {names}) SELECT id + n * 1000000, {names} FROM flights, copies"  # noqa: S608 names of the schema
            connection.execute(f"{numbers} {copied}", (COPIES,))

    return shared_directory(tmp_path_factory, "many-flights", write)


@pytest.fixture
def inline(data_dir: Path) -> Iterator[Arm]:
    """An arm that writes exports in the request."""
    with running_arm(arm_settings(frozenset({"timeouts", "pooling", "indexes", "compression"}), data_dir)) as arm:
        yield arm


def create_export(arm: Arm, key: str | None = None, **body: Any) -> Any:
    """Return the response to a request for an export."""
    headers = BEARER | ({"Idempotency-Key": key} if key else {})
    return arm.client.post("/exports", json=body, headers=headers)


def export_of(arm: Arm, address: str) -> dict[str, Any]:
    response = arm.client.get(address, headers=BEARER)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def wait_until(
    arm: Arm, address: str, is_so: Callable[[dict[str, Any]], bool], *, within_s: float = 60
) -> dict[str, Any]:
    """Return the export as soon as the condition holds."""
    deadline = monotonic() + within_s
    while True:
        export = export_of(arm, address)
        if is_so(export):
            return export
        assert monotonic() < deadline, export
        sleep(0.1)


def is_done(export: dict[str, Any]) -> bool:
    assert export["state"] in {"queued", "running", "done"}, export
    return bool(export["state"] == "done")
