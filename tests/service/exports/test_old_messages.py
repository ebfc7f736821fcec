"""A message of another version of the service is rejected or understood, and the worker continues."""

import shutil
from pathlib import Path
from typing import Any

from service.exports.broker import EXPORT_TASK, producer_app
from tests.servers.arm import arm_settings, running_arm
from tests.servers.export_worker import running_worker
from tests.service.exports.conftest import create_export, export_of, is_done, wait_until

FOREIGN: tuple[dict[str, Any], ...] = (
    {"name": EXPORT_TASK, "args": []},
    {"name": EXPORT_TASK, "args": [7]},
    {"name": EXPORT_TASK, "args": [None]},
    {"name": EXPORT_TASK, "args": ["no job has this id"]},
    {"name": EXPORT_TASK, "args": [{"job": "x"}]},
    {"name": "flightdeck.export.v0", "args": ["x"]},
)


def test_messages_of_other_versions_stop_no_worker_and_lose_no_job(few_flights: Path, tmp_path: Path) -> None:
    data_dir = Path(shutil.copytree(few_flights, tmp_path / "data"))
    settings = arm_settings("all", data_dir, export_lease_s=1)
    queue = producer_app(settings)
    with running_arm(settings) as arm:
        for message in FOREIGN:
            queue.send_task(**message)
        address = create_export(arm, format="csv", carrier="HA").headers["Location"]
        queued = export_of(arm, address)["state"]
        job_id = address.rpartition("/")[2]
        queue.send_task(EXPORT_TASK, args=[job_id, "an argument of a later version"], kwargs={"priority": 3})
        log = tmp_path / "worker.log"
        with running_worker(data_dir, log=log, TECHNIQUES="all", EXPORT_LEASE_S="1"):
            done = wait_until(arm, address, is_done, within_s=60)

    assert queued == "queued"
    assert done["attempts"] == 1
    assert len([file for file in (data_dir / "exports").iterdir() if file.suffix != ".partial"]) == 1
    logged = log.read_text()
    assert "flightdeck.export.v0" in logged, "an unknown task is named"
    assert "takes the id of a job" in logged
