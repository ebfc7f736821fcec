"""Target files of processes that no longer exist are removed, those of living ones stay."""

import os
from pathlib import Path
from time import monotonic, sleep, time

import pytest

from observability.metrics import file_sd
from observability.metrics.file_sd import UNTOUCHED_S, FileSdTarget


def test_files_of_containers_that_no_longer_exist_are_removed(tmp_path: Path) -> None:
    gone, alive, other = (tmp_path / name for name in ("shop-gone-7.json", "shop-alive-7.json", "bank-gone-7.json"))
    for path, age_s in ((gone, UNTOUCHED_S + 60), (alive, 30), (other, UNTOUCHED_S + 60)):
        path.write_text("[]")
        os.utime(path, (time() - age_s,) * 2)
    target = FileSdTarget(tmp_path, service="shop")
    own = target.write(host="127.0.0.1", port=1, labels={})
    assert sorted(tmp_path.iterdir()) == sorted([own, alive, other])
    target.remove()
    assert sorted(tmp_path.iterdir()) == sorted([alive, other])


def test_the_file_of_a_running_process_is_touched_and_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_sd, "TOUCH_EVERY_S", 0.01)
    target = FileSdTarget(tmp_path, service="shop")
    own = target.write(host="127.0.0.1", port=1, labels={})
    own.unlink()
    deadline = monotonic() + 60
    while not own.exists():
        assert monotonic() < deadline
        sleep(0.01)
    target.remove()
    assert not own.exists()
