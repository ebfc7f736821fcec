"""Exports by real workers over every broker: killed, cancelled, and with the broker down."""

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tests.servers.arm import BEARER, Arm, arm_settings, running_arm
from tests.servers.export_worker import Worker, running_worker
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.service.exports.conftest import COPIES, create_export, export_of, is_done, wait_until

CHECK_S = 0.5
"""How often the service looks for jobs whose lease has expired."""
LEASE_S = 60.0
"""Of the workers: a busy machine does not keep them from its renewal for so long. `expire_lease` ends it."""


@pytest.fixture(params=["filesystem", "redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """The URL of each kind of broker in turn."""
    if request.param == "filesystem":
        return "filesystem://"
    if request.param == "redis":
        redis: RedisServer = request.getfixturevalue("own_redis")
        return redis.url
    rabbitmq: RabbitServer = request.getfixturevalue("rabbitmq")
    return rabbitmq.url


@pytest.fixture
def many(many_flights: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(many_flights, tmp_path / "many"))


@contextmanager
def service(data_dir: Path, broker_url: str) -> Iterator[Arm]:
    settings = arm_settings("all", data_dir, celery_broker_url=broker_url, export_lease_s=3 * CHECK_S)
    with running_arm(settings) as arm:
        yield arm


@contextmanager
def worker(data_dir: Path, broker_url: str) -> Iterator[Worker]:
    log = data_dir.parent / "worker.log"
    settings = {"CELERY_BROKER_URL": broker_url, "EXPORT_LEASE_S": str(LEASE_S), "TECHNIQUES": "all"}
    with running_worker(data_dir, log=log, **settings) as running:
        yield running


def expire_lease(data_dir: Path, address: str) -> None:
    """Let the lease of a job expire, as after the time without a renewal."""
    with closing(sqlite3.connect(data_dir / "flightdeck.db", timeout=60)) as connection, connection:
        job = address.rpartition("/")[2]
        connection.execute("UPDATE export_jobs SET due_at = created_at WHERE id = ? AND state = 'running'", [job])


def files(data_dir: Path) -> list[Path]:
    return list((data_dir / "exports").iterdir())


def test_an_export_is_accepted_written_by_a_worker_and_downloaded(data_dir: Path, broker_url: str) -> None:
    with service(data_dir, broker_url) as arm, worker(data_dir, broker_url):
        accepted = create_export(arm, format="csv", date_from="2013-07-01", date_to="2013-07-01")
        address = accepted.headers["Location"]
        done = wait_until(arm, address, is_done)
        file = arm.client.get(f"{address}/file", headers=BEARER)

    assert accepted.status_code == 202
    assert accepted.json()["state"] == "queued"
    assert done["progress_percent"] == 100
    assert file.status_code == 200
    assert len(file.text.splitlines()) == done["rows"] + 1 > 900


def test_an_export_whose_worker_is_killed_is_completed_once_by_the_next(many: Path, broker_url: str) -> None:
    with service(many, broker_url) as arm:
        with worker(many, broker_url) as first:
            address = create_export(arm, format="csv").headers["Location"]
            wait_until(arm, address, lambda export: export["progress_percent"] >= 10)
            first.kill()
        killed_at = export_of(arm, address)
        expire_lease(many, address)
        with worker(many, broker_url):
            done = wait_until(arm, address, is_done, within_s=90)
            sleep(4 * CHECK_S)  # a second attempt would have started by now
            again = export_of(arm, address)
        file = arm.client.get(f"{address}/file", headers=BEARER).text

    assert killed_at["progress_percent"] < 100
    assert done["attempts"] == 2
    assert again == done
    ids = [line.partition(",")[0] for line in file.splitlines()[1:]]
    assert len(ids) == len(set(ids)) == done["rows"] > COPIES * 3_000
    assert len([file for file in files(many) if file.suffix != ".partial"]) == 1


@pytest.mark.parametrize("killed", ["main process", "child"])
def test_an_export_has_one_file_after_part_of_its_worker_is_killed(many: Path, killed: str) -> None:
    with service(many, "filesystem://") as arm, ExitStack() as second:
        with worker(many, "filesystem://") as first:
            address = create_export(arm, format="parquet").headers["Location"]
            wait_until(arm, address, lambda export: export["progress_percent"] >= 5)
            orphans = first.children
            if killed == "child":
                for child in orphans:
                    child.send_signal(signal.SIGKILL)
            else:
                first.process.kill()
                first.process.wait(60)
                second.enter_context(worker(many, "filesystem://"))
            expire_lease(many, address)
            done = wait_until(arm, address, is_done, within_s=90)
            for orphan in orphans:
                orphan.wait(60)
        assert export_of(arm, address) == done

    (complete,) = [file for file in files(many) if file.suffix != ".partial"]
    assert done["size_bytes"] == complete.stat().st_size


def test_a_running_export_is_cancelled_within_seconds_and_leaves_no_file(many: Path) -> None:
    with service(many, "filesystem://") as arm, worker(many, "filesystem://"):
        address = create_export(arm, format="csv").headers["Location"]
        wait_until(arm, address, lambda export: export["progress_percent"] >= 5)
        cancelled = arm.client.delete(address, headers=BEARER)
        state = export_of(arm, address)["state"]
        file = arm.client.get(f"{address}/file", headers=BEARER)
        deadline = monotonic() + 60
        while files(many) and monotonic() < deadline:
            sleep(0.05)

    assert cancelled.status_code == 204
    assert state == "cancelled"
    assert file.status_code == 410
    assert files(many) == []


def quick_rejections(arm: Arm, **body: str) -> list[Any]:
    """Return the responses to requests for the export: at least three, and on a busy machine until one takes < 2 s."""
    responses: list[Any] = []
    seconds: list[float] = []
    while len(responses) < 3 or min(seconds) >= 2:
        assert len(responses) < 20, f"each takes two seconds or more: {seconds}"
        began = monotonic()
        responses.append(create_export(arm, key="mine", **body))
        seconds.append(monotonic() - began)
    return responses


@pytest.mark.usefixtures("production_timeout")
def test_while_the_broker_is_down_exports_are_rejected_quickly_and_other_routes_work(
    data_dir: Path, rabbitmq: RabbitServer
) -> None:
    with service(data_dir, rabbitmq.url) as arm, worker(data_dir, rabbitmq.url):
        before = create_export(arm, format="csv", origin="LGA")
        wait_until(arm, before.headers["Location"], is_done)
        rabbitmq.stop()
        try:
            rejected = quick_rejections(arm, format="csv")
            rest = arm.client.get("/airports/JFK/departures?date=2013-07-01")
            old = arm.client.get(f"{before.headers['Location']}/file", headers=BEARER)
        finally:
            rabbitmq.start()
        deadline = monotonic() + 60
        while (after := create_export(arm, key="mine", format="csv")).status_code == 503 and monotonic() < deadline:
            sleep(0.2)
        done = wait_until(arm, after.headers["Location"], is_done)

    assert {response.status_code for response in rejected} == {503}
    assert all(int(response.headers["Retry-After"]) >= 1 for response in rejected)
    assert rejected[0].json()["type"].endswith("broker-unavailable")
    assert rest.status_code == 200
    assert old.status_code == 200
    assert after.status_code == 202, "without a restart, and the idempotency key can be used again"
    assert done["attempts"] == 1


@pytest.mark.usefixtures("production_timeout")
@pytest.mark.parametrize("how", ["down", "hanging"])
@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_an_export_is_rejected_within_two_seconds_if_the_broker_is_down_or_hangs(
    data_dir: Path, request: pytest.FixtureRequest, kind: str, how: str
) -> None:
    broker: RedisServer | RabbitServer = request.getfixturevalue("own_redis" if kind == "redis" else "rabbitmq")
    with service(data_dir, broker.url) as arm:
        before = create_export(arm, format="csv", carrier="ZZ")
        broker.stop() if how == "down" else broker.freeze()
        try:
            rejected = quick_rejections(arm, format="csv", carrier="ZZ")
        finally:
            broker.start() if how == "down" else broker.thaw()
        deadline = monotonic() + 60
        while (after := create_export(arm, key="mine", format="csv", carrier="ZZ")).status_code == 503:
            assert monotonic() < deadline
            sleep(0.1)

    assert before.status_code == 202
    assert {response.status_code for response in rejected} == {503}
    assert after.status_code == 202
