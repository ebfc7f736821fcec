import fcntl
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from service.core.models import Flight, StatusChange, Weather
from service.dataset.embedded import SqliteTarget
from service.dataset.errors import DamagedDatabase, DatabaseInUse, KeptChanges, NotWritable, WrongContent
from service.dataset.source import Source, records
from tests.servers.embedded import embedded
from tests.servers.progress import NullProgress

LOADER = """
import sys
from pathlib import Path
from tests.servers.progress import NullProgress
from service.dataset.source import Source
from tests.servers.embedded import embedded

class Loud(NullProgress):
    def say(self, line):
        print(line, flush=True)
    def step(self, title, total):
        print(title, flush=True)

print(embedded(Path(sys.argv[2])).load(Source(Path(sys.argv[1])), Loud()), flush=True)
"""


class Spoken(NullProgress):
    """A progress that records its messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def loader(files: Path, directory: Path) -> subprocess.Popen[str]:
    """Start a load in another process; it prints its steps and its result."""
    return subprocess.Popen([sys.executable, "-c", LOADER, files, directory], stdout=subprocess.PIPE, text=True)


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def write_a_status_change(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with Session(engine) as session:
        session.add(
            StatusChange(
                flight_id=1, version=2, status_before="arrived", status_after="boarding", changed_at=datetime.now(UTC)
            )
        )
        session.commit()
    engine.dispose()


@pytest.fixture
def target(tmp_path: Path) -> SqliteTarget:
    return embedded(tmp_path / "data")


def test_every_flight_keeps_its_source_record_in_order(few_files: Path, few_flights: Path) -> None:
    source = Source(few_files).contents()["flights.csv"]
    kept = rows(few_flights / "flightdeck.db", "SELECT id, source_record FROM flights ORDER BY id")
    assert [(number, list(json.loads(str(record)).values())) for number, record in kept] == list(
        enumerate(records(source), start=1)
    )


def test_the_service_reads_the_times_that_the_load_wrote(few_flights: Path) -> None:
    engine = create_engine(f"sqlite:///{few_flights / 'flightdeck.db'}")
    with Session(engine) as session:
        flight = session.get_one(Flight, 1)
        assert flight.scheduled_departure == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
        found = select(func.count()).where(Flight.scheduled_departure == flight.scheduled_departure, Flight.id == 1)
        assert session.scalar(found) == 1
        assert session.get(Weather, ("EWR", datetime(2013, 1, 1, 6, tzinfo=UTC))) is not None
    engine.dispose()


def test_only_the_twin_lacks_the_secondary_indexes(few_flights: Path) -> None:
    names = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name LIKE 'ix_%'"
    assert rows(few_flights / "flightdeck.db", names) == [(7,)]
    assert rows(few_flights / "flightdeck-unindexed.db", names) == [(0,)]


def test_both_files_have_statistics_and_a_write_ahead_log(data_dir: Path) -> None:
    for path in embedded(data_dir).paths:
        assert rows(path, "PRAGMA journal_mode") == [("wal",)]
        assert rows(path, "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'flights'") != [(0,)]


def test_a_second_load_changes_nothing(few_files: Path, target: SqliteTarget) -> None:
    assert target.load(Source(few_files), NullProgress()) is True
    before = [(path.read_bytes(), path.stat().st_ino) for path in target.paths]
    assert target.load(Source(few_files), NullProgress()) is False
    assert [(path.read_bytes(), path.stat().st_ino) for path in target.paths] == before


def test_a_second_load_keeps_status_updates(few_files: Path, data_dir: Path) -> None:
    path = data_dir / "flightdeck.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE flights SET status = 'boarding', departure_delay_min = 500 WHERE id = 1")
        connection.commit()
    assert embedded(data_dir).load(Source(few_files), NullProgress()) is False
    assert rows(path, "SELECT status FROM flights WHERE id = 1") == [("boarding",)]


def test_a_forced_load_makes_everything_again(few_files: Path, data_dir: Path) -> None:
    path = data_dir / "flightdeck.db"
    write_a_status_change(path)
    assert embedded(data_dir).load(Source(few_files), NullProgress(), force=True) is True
    assert rows(path, "SELECT count(*) FROM status_changes") == [(0,)]


CRASHED_WRITER = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("UPDATE flights SET status = 'boarding'")
connection.commit()
os._exit(0)
"""


def test_the_log_of_a_writer_that_crashed_does_not_reach_the_new_database(few_files: Path, data_dir: Path) -> None:
    path = data_dir / "flightdeck.db"
    subprocess.run([sys.executable, "-c", CRASHED_WRITER, path], check=True)
    assert path.with_name("flightdeck.db-wal").stat().st_size > 0
    assert embedded(data_dir).load(Source(few_files), NullProgress(), force=True) is True
    assert rows(path, "SELECT count(*) FROM flights WHERE status = 'boarding'") == [(0,)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_the_log_beside_a_file_that_is_no_database_does_not_reach_the_new_one(few_files: Path, data_dir: Path) -> None:
    path = data_dir / "flightdeck.db"
    subprocess.run([sys.executable, "-c", CRASHED_WRITER, path], check=True)
    path.write_bytes(b"not a database at all" * 500)
    assert embedded(data_dir).load(Source(few_files), NullProgress(), force=True) is True
    assert rows(path, "SELECT count(*) FROM flights WHERE status = 'boarding'") == [(0,)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_missing_twin_is_made_again_and_the_database_is_kept(few_files: Path, data_dir: Path) -> None:
    write_a_status_change(data_dir / "flightdeck.db")
    (data_dir / "flightdeck-unindexed.db").unlink()
    assert embedded(data_dir).load(Source(few_files), NullProgress()) is True
    assert rows(data_dir / "flightdeck-unindexed.db", "SELECT count(*) FROM dataset_load") == [(1,)]
    assert rows(data_dir / "flightdeck.db", "SELECT count(*) FROM status_changes") == [(1,)]


@pytest.mark.parametrize("delete", ["flights", "weather", "aircraft"])
def test_a_database_that_lost_rows_is_damaged(few_files: Path, data_dir: Path, delete: str) -> None:
    with closing(sqlite3.connect(data_dir / "flightdeck.db")) as connection:
        connection.execute(f"DELETE FROM {delete} WHERE rowid IN (SELECT rowid FROM {delete} LIMIT 1)")  # noqa: S608 names of this test
        connection.commit()
    with pytest.raises(DamagedDatabase, match=r"flightdeck\.db is damaged.*expected .*, found .*--force"):
        embedded(data_dir).load(Source(few_files), NullProgress())


@pytest.mark.parametrize("content", [b"not a database at all" * 500, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_replaced_only_with_force(
    few_files: Path, target: SqliteTarget, content: bytes
) -> None:
    target.indexed.parent.mkdir()
    target.indexed.write_bytes(content)
    with pytest.raises(DamagedDatabase, match="--force"):
        target.load(Source(few_files), NullProgress())
    assert target.indexed.read_bytes() == content
    assert target.load(Source(few_files), NullProgress(), force=True) is True
    assert rows(target.indexed, "SELECT count(*) FROM dataset_load") == [(1,)]


def test_a_third_party_database_is_rejected_and_unchanged(few_files: Path, target: SqliteTarget) -> None:
    target.indexed.parent.mkdir()
    with closing(sqlite3.connect(target.indexed)) as connection:
        connection.execute("CREATE TABLE diary (page)")
    with pytest.raises(DamagedDatabase, match="no table `dataset_load`"):
        target.load(Source(few_files), NullProgress())


def test_an_empty_file_counts_as_missing(few_files: Path, target: SqliteTarget) -> None:
    target.indexed.parent.mkdir()
    target.indexed.touch()
    assert target.load(Source(few_files), NullProgress()) is True


def make_outdated(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")


def test_a_database_of_another_version_is_made_again(few_files: Path, data_dir: Path) -> None:
    make_outdated(data_dir / "flightdeck.db")
    spoken = Spoken()
    assert embedded(data_dir).load(Source(few_files), spoken) is True
    assert any("another version" in line for line in spoken.lines)


def test_a_database_of_another_version_with_status_updates_is_kept_until_forced(
    few_files: Path, data_dir: Path
) -> None:
    write_a_status_change(data_dir / "flightdeck.db")
    make_outdated(data_dir / "flightdeck.db")
    with pytest.raises(KeptChanges, match="1 status updates"):
        embedded(data_dir).load(Source(few_files), NullProgress())
    assert rows(data_dir / "flightdeck.db", "SELECT count(*) FROM status_changes") == [(1,)]


def every_other(content: bytes) -> Iterator[list[str]]:
    return (record for number, record in enumerate(records(content)) if number % 2)


def test_a_lost_row_is_noticed_and_nothing_is_kept(
    few_files: Path, target: SqliteTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.dataset.embedded.records", every_other)
    with pytest.raises(WrongContent, match=r"flights: expected 3,\d+, found 1,\d+"):
        target.load(Source(few_files), NullProgress())
    assert list(target.indexed.parent.iterdir()) == []


def test_a_damaged_file_of_the_copy_leaves_nothing(few_files: Path, target: SqliteTarget, tmp_path: Path) -> None:
    files = Path(shutil.copytree(few_files, tmp_path / "files"))
    (files / "weather.csv.xz").write_bytes(b"")
    with pytest.raises(Exception, match=r"weather\.csv\.xz is damaged"):
        target.load(Source(files), NullProgress())
    assert list(target.indexed.parent.iterdir()) == []


@pytest.mark.parametrize("moment", ["flights", "indexes", "weather"])
def test_a_killed_load_leaves_temporary_files_only_and_the_next_one_completes(
    few_files: Path, target: SqliteTarget, moment: str
) -> None:
    with loader(few_files, target.indexed.parent) as process:
        assert process.stdout
        for line in process.stdout:
            if line.strip() == moment:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not target.indexed.exists()
    assert not target.unindexed.exists()
    assert target.load(Source(few_files), NullProgress()) is True
    assert sorted(path.name for path in target.indexed.parent.iterdir()) == [
        "flightdeck-unindexed.db",
        "flightdeck.db",
    ]


def test_a_load_killed_at_any_moment_leaves_everything_or_nothing(few_files: Path, tmp_path: Path) -> None:
    started = time.perf_counter()
    with loader(few_files, tmp_path / "whole") as process:
        process.wait()
    whole_s = time.perf_counter() - started
    outcomes = set()
    for number in range(4):
        target = embedded(tmp_path / str(number))
        with loader(few_files, target.indexed.parent) as process:
            time.sleep(whole_s * (0.1 + number * 0.28))  # the first is early even if the whole load was slow to start
            process.kill()
        if target.indexed.exists():
            assert target.load(Source(few_files), NullProgress()) is False
        elif not target.unindexed.exists():
            outcomes.add("nothing")
        target.load(Source(few_files), NullProgress())
        assert rows(target.indexed, "SELECT count(*) FROM flights") == rows(
            target.unindexed, "SELECT count(*) FROM flights"
        )
    assert outcomes


def test_of_two_concurrent_loads_the_second_waits_and_reports_it(few_files: Path, target: SqliteTarget) -> None:
    directory = target.indexed.parent
    directory.mkdir()
    handle = os.open(directory, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    loads = [loader(few_files, directory) for _ in range(2)]
    for load in loads:
        assert load.stdout
        assert "another load is filling" in load.stdout.readline()
    os.close(handle)
    results = [load.communicate()[0].split()[-1] for load in loads]
    assert sorted(results) == ["False", "True"]


def test_a_load_into_a_database_that_is_in_use_is_rejected(few_files: Path, data_dir: Path) -> None:
    path = data_dir / "flightdeck.db"
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("SELECT count(*) FROM flights").fetchone()
        with pytest.raises(DatabaseInUse, match="stop the process"):
            embedded(data_dir).load(Source(few_files), NullProgress(), force=True)
        assert reader.execute("SELECT count(*) FROM dataset_load").fetchone() == (1,)


def test_a_directory_that_cannot_be_made_is_named(few_files: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritable, match=r"cannot write .*file.*--data-dir"):
        embedded(tmp_path / "file" / "data").load(Source(few_files), NullProgress())


def test_a_full_disk_leaves_nothing(few_files: Path, target: SqliteTarget) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(NotWritable, match="nothing was written"):
            target.load(Source(few_files), NullProgress())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(target.indexed.parent.iterdir()) == []
