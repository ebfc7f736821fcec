"""A process that is killed during writes leaves no change without its audit record, and the next one delivers each."""

import shutil
import signal
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from tests.reliability.effort import Effort
from tests.servers.arm import BEARER
from tests.servers.process import ServiceProcess, service_process
from tests.service.rows import rows

CLIENTS = 4
FLIGHTS = 5

WRITTEN = "SELECT id AS flight_id, version FROM flights WHERE version > 1"
AUDITED = "SELECT flight_id, version FROM status_changes ORDER BY flight_id, version"


def start_writers(service: ServiceProcess, confirmed: list[tuple[int, int]]) -> list[threading.Thread]:
    """Start clients that write until the service is killed."""

    def write(number: int) -> None:
        with httpx.Client(base_url=service.url, timeout=60) as client, suppress(httpx.TransportError):
            for delay in range(100_000):
                flight_id = 1 + (number + delay) % FLIGHTS
                body = {"status": "departed", "departure_delay_min": delay % 1000}
                response = client.patch(f"/flights/{flight_id}/status", json=body, headers=BEARER)
                if response.status_code == 200:
                    confirmed.append((flight_id, response.json()["version"]))

    threads = [threading.Thread(target=write, args=[number]) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.timeout(600)
@pytest.mark.parametrize("techniques", ["none", "all"])
def test_no_change_of_a_killed_process_lacks_its_record_and_the_next_process_delivers_it(
    few_flights: Path, tmp_path: Path, effort: Effort, techniques: str
) -> None:
    data_dir = Path(shutil.copytree(few_flights, tmp_path / "data"))
    if techniques == "none":  # serve the twin under the name that `rows` reads
        (data_dir / "flightdeck-unindexed.db").rename(data_dir / "flightdeck.db")
    environment: dict[str, Any] = {
        "TECHNIQUES": techniques,
        "DATABASE_UNINDEXED_URL": f"sqlite+aiosqlite:///{data_dir / 'flightdeck.db'}",
        "WRITE_RATE_LIMIT": "none",
    }
    random = Random(0)
    confirmed: list[tuple[int, int]] = []
    kills = round(effort.choose(2, 20))
    undelivered = 0
    for killed in range(kills):
        with service_process(data_dir, log=tmp_path / "log", **environment) as service:
            clients = start_writers(service, confirmed)
            deadline = monotonic() + 60
            while len(confirmed) <= 10 * (killed + 1):
                assert monotonic() < deadline, confirmed
                sleep(0.01)
            sleep(random.random())
            service.process.send_signal(signal.SIGKILL)
            service.process.wait(60)
            for client in clients:
                client.join(60)
        undelivered += len(rows(data_dir, "SELECT * FROM outbox"))

    audited = [(row["flight_id"], row["version"]) for row in rows(data_dir, AUDITED)]
    written = {row["flight_id"]: row["version"] for row in rows(data_dir, WRITTEN)}
    assert len(confirmed) > 10 * kills
    assert set(confirmed) <= set(audited)
    assert audited == sorted((flight, version) for flight, last in written.items() for version in range(2, last + 1))

    with closing(sqlite3.connect(data_dir / "flightdeck.db")) as connection, connection:
        connection.execute("UPDATE outbox SET due_at = '2013-01-01 00:00:00.000000'")
        connection.execute(
            "INSERT OR IGNORE INTO outbox SELECT max(id), '2013-01-01 00:00:00.000000' FROM status_changes"
        )
    with service_process(data_dir, log=tmp_path / "log", **environment):
        deadline = monotonic() + 60
        while (left := rows(data_dir, "SELECT * FROM outbox")) and monotonic() < deadline:
            sleep(0.1)
    assert left == []
    effort.record(
        "audit",
        f"TECHNIQUES={techniques}, SIGKILL under writes",
        kills=kills,
        updates_confirmed=len(confirmed),
        changes_written=len(audited),
        changes_without_a_record=0,
        delivered_by_the_next_process=undelivered,
    )
