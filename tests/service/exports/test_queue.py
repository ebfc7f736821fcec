"""Exports by real workers, over each broker; killed, cancelled, and with the broker away."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.servers.arm import BEARER, Arm, arm_settings, running_arm
from tests.servers.export_worker import Worker, running_worker
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.service.exports.conftest import COPIES, ask, export_of, is_done, wait_until

LEASE_S = 2.0


@pytest.fixture(params=["folder", "redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """The address of each kind of broker in turn."""
    if request.param == "folder":
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
    settings = arm_settings("all", data_dir, celery_broker_url=broker_url, export_lease_s=LEASE_S)
    with running_arm(settings) as arm:
        yield arm


@contextmanager
def worker(data_dir: Path, broker_url: str) -> Iterator[Worker]:
    log = data_dir.parent / "worker.log"
    settings = {"CELERY_BROKER_URL": broker_url, "EXPORT_LEASE_S": str(LEASE_S), "TECHNIQUES": "all"}
    with running_worker(data_dir, log=log, **settings) as running:
        yield running


def files(data_dir: Path) -> list[Path]:
    return list((data_dir / "exports").iterdir())


def test_an_export_is_accepted_made_by_a_worker_and_downloaded(data_dir: Path, broker_url: str) -> None:
    with service(data_dir, broker_url) as arm, worker(data_dir, broker_url):
        accepted = ask(arm, format="csv", date_from="2013-07-01", date_to="2013-07-01")
        address = accepted.headers["Location"]
        done = wait_until(arm, address, is_done)
        file = arm.client.get(f"{address}/file", headers=BEARER)

    assert accepted.status_code == 202
    assert accepted.json()["state"] == "queued"
    assert done["progress_percent"] == 100
    assert file.status_code == 200
    assert len(file.text.splitlines()) == done["rows"] + 1 > 900


def test_a_worker_killed_half_way_loses_nothing_and_nothing_is_written_twice(many: Path, broker_url: str) -> None:
    with service(many, broker_url) as arm:
        with worker(many, broker_url) as first:
            address = ask(arm, format="csv").headers["Location"]
            wait_until(arm, address, lambda export: export["progress_percent"] >= 10)
            first.kill()
        killed_at = export_of(arm, address)
        with worker(many, broker_url):
            done = wait_until(arm, address, is_done, within_s=90)
            sleep(LEASE_S)  # a second delivery would begin by now
            again = export_of(arm, address)
        file = arm.client.get(f"{address}/file", headers=BEARER).text

    assert killed_at["progress_percent"] < 100
    assert done["attempts"] == 2
    assert again == done
    ids = [line.partition(",")[0] for line in file.splitlines()[1:]]
    assert len(ids) == len(set(ids)) == done["rows"] > COPIES * 3_000
    assert len([file for file in files(many) if file.suffix != ".partial"]) == 1


@pytest.mark.parametrize("killed", ["main process", "child"])
def test_half_a_worker_killed_makes_one_result_too(many: Path, killed: str) -> None:
    with service(many, "filesystem://") as arm, ExitStack() as second:
        with worker(many, "filesystem://") as first:
            address = ask(arm, format="parquet").headers["Location"]
            wait_until(arm, address, lambda export: export["progress_percent"] >= 5)
            orphans = first.children
            if killed == "child":
                for child in orphans:
                    child.send_signal(signal.SIGKILL)
            else:
                first.process.kill()
                first.process.wait(10)
                second.enter_context(worker(many, "filesystem://"))
            done = wait_until(arm, address, is_done, within_s=90)
            for orphan in orphans:
                orphan.wait(30)
        assert export_of(arm, address) == done

    (complete,) = [file for file in files(many) if file.suffix != ".partial"]
    assert done["size_bytes"] == complete.stat().st_size


def test_a_running_export_is_cancelled_within_seconds_and_leaves_no_file(many: Path) -> None:
    with service(many, "filesystem://") as arm, worker(many, "filesystem://"):
        address = ask(arm, format="csv").headers["Location"]
        wait_until(arm, address, lambda export: export["progress_percent"] >= 5)
        cancelled = arm.client.delete(address, headers=BEARER)
        state = export_of(arm, address)["state"]
        file = arm.client.get(f"{address}/file", headers=BEARER)
        deadline = monotonic() + 10
        while files(many) and monotonic() < deadline:
            sleep(0.05)

    assert cancelled.status_code == 204
    assert state == "cancelled"
    assert file.status_code == 410
    assert files(many) == []


def test_while_the_broker_is_away_exports_are_refused_quickly_and_the_rest_goes_on(
    data_dir: Path, rabbitmq: RabbitServer
) -> None:
    with service(data_dir, rabbitmq.url) as arm, worker(data_dir, rabbitmq.url):
        before = ask(arm, format="csv", origin="LGA")
        wait_until(arm, before.headers["Location"], is_done)
        rabbitmq.stop()
        try:
            began = monotonic()
            refused = [ask(arm, key="mine", format="csv") for _ in range(3)]
            took = monotonic() - began
            rest = arm.client.get("/airports/JFK/departures?date=2013-07-01")
            old = arm.client.get(f"{before.headers['Location']}/file", headers=BEARER)
        finally:
            rabbitmq.start()
        deadline = monotonic() + 30
        while (after := ask(arm, key="mine", format="csv")).status_code == 503 and monotonic() < deadline:
            sleep(0.2)
        done = wait_until(arm, after.headers["Location"], is_done)

    assert {response.status_code for response in refused} == {503}
    assert all(int(response.headers["Retry-After"]) >= 1 for response in refused)
    assert refused[0].json()["type"].endswith("broker-unavailable")
    assert took < 6
    assert rest.status_code == 200
    assert old.status_code == 200
    assert after.status_code == 202, "nothing was restarted, and the refused key is free"
    assert done["attempts"] == 1


@pytest.mark.parametrize("how", ["dead", "hanging"])
@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_an_export_is_refused_within_two_seconds_by_a_broker_that_is_dead_or_hangs(
    data_dir: Path, request: pytest.FixtureRequest, kind: str, how: str
) -> None:
    broker: RedisServer | RabbitServer = request.getfixturevalue("own_redis" if kind == "redis" else "rabbitmq")
    with service(data_dir, broker.url) as arm:
        before = ask(arm, format="csv", carrier="ZZ")
        broker.stop() if how == "dead" else broker.freeze()
        refused = []
        try:
            for _ in range(3):
                began = monotonic()
                refused.append((ask(arm, key="mine", format="csv", carrier="ZZ"), monotonic() - began))
        finally:
            broker.start() if how == "dead" else broker.thaw()
        deadline = monotonic() + 30
        while (after := ask(arm, key="mine", format="csv", carrier="ZZ")).status_code == 503:
            assert monotonic() < deadline
            sleep(0.1)

    assert before.status_code == 202
    assert [answer.status_code for answer, _ in refused] == [503] * 3
    assert max(seconds for _, seconds in refused) < 2
    assert after.status_code == 202
