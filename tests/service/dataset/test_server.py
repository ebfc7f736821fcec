import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import URL

from service.core.database_url import unindexed_twin
from service.dataset.errors import DamagedDatabase, DatabaseInUse, KeptChanges, ServerFailed, WrongContent
from service.dataset.server import PostgresTarget
from service.dataset.source import Source, records
from tests.servers.port import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.program import installed
from tests.servers.progress import NullProgress

pytestmark = pytest.mark.server("postgresql")

LOADER = """
import sys
from pathlib import Path
from service.core.database_url import parsed, unindexed_twin
from tests.servers.progress import NullProgress
from service.dataset.server import PostgresTarget
from service.dataset.source import Source

class Loud(NullProgress):
    def say(self, line):
        print(line, flush=True)
    def step(self, title, total):
        print(title, flush=True)

url = parsed(sys.argv[2])
print(PostgresTarget(indexed=url, unindexed=unindexed_twin(url)).load(Source(Path(sys.argv[1])), Loud()), flush=True)
"""
CHANGE = (
    "INSERT INTO status_changes (flight_id, version, status_before, status_after, changed_at)"
    " VALUES (1, 2, 'arrived', 'boarding', now())"
)


FLIGHTS = """
SELECT id, date, hour, tail_number, departure_delay_min, arrival_local, status, version, source_record, {time}
FROM flights ORDER BY id
"""


class Spoken(NullProgress):
    """A progress that records its messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def on(url: URL) -> PostgresTarget:
    return PostgresTarget(indexed=url, unindexed=unindexed_twin(url))


def loader(files: Path, url: URL) -> subprocess.Popen[str]:
    """Start a load in another process; it prints its steps and its result."""
    command = [sys.executable, "-c", LOADER, str(files), url.render_as_string(hide_password=False)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def loaded(postgres_url: URL, postgres_server: PostgresServer) -> "Tables":
    """A loaded database that the test may change."""
    return Tables(postgres_server, postgres_url)


numbers = count(1)


@pytest.fixture
def fresh(postgres_server: PostgresServer) -> Iterator["Tables"]:
    """A database that does not exist yet."""
    url = postgres_server.url(f"fresh_{next(numbers)}")
    yield Tables(postgres_server, url)
    for name in (url.database, unindexed_twin(url).database):
        postgres_server.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class Tables:
    """The contents of a database and its twin, read without the code under test."""

    def __init__(self, server: PostgresServer, url: URL) -> None:
        self.server = server
        self.url = url
        self.names = (url.database or "", unindexed_twin(url).database or "")

    def run(self, sql: str) -> str:
        return self.server.run(sql, database=self.names[0])

    def both(self, sql: str) -> list[str]:
        return [self.server.run(sql, database=name) for name in self.names]

    def exist(self) -> bool:
        return self.names[0] in self.server.run("SELECT datname FROM pg_database").splitlines()


def test_both_databases_are_made_and_filled_with_the_gaps(few_files: Path, fresh: Tables) -> None:
    assert on(fresh.url).load(Source(few_files), NullProgress()) is True
    facts = Source(few_files).manifest.facts
    assert fresh.both("SELECT count(*) FROM flights") == [str(facts["flights"])] * 2
    cancelled = "SELECT count(*) FROM flights WHERE status = 'cancelled'"
    assert fresh.both(cancelled) == [str(facts["cancelled flights"])] * 2
    unknown = "SELECT count(*) FROM flights WHERE destination NOT IN (SELECT faa FROM airports)"
    assert fresh.both(unknown) == [str(facts["flights to an unknown airport"])] * 2
    assert facts["cancelled flights"] > 0
    assert facts["flights to an unknown airport"] > 0


def test_every_row_is_the_one_that_the_embedded_load_makes(few_flights: Path, loaded: Tables) -> None:
    with sqlite3.connect(few_flights / "flightdeck.db") as connection:
        embedded = connection.execute(FLIGHTS.format(time="substr(scheduled_departure, 1, 19)")).fetchall()
    connection.close()
    time = "to_char(scheduled_departure AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
    shown = loaded.run(FLIGHTS.format(time=time)).splitlines()
    assert shown == ["|".join("" if value is None else str(value) for value in row) for row in embedded]


def test_only_the_twin_lacks_the_secondary_indexes(loaded: Tables) -> None:
    assert loaded.both("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'") == ["7", "0"]


def test_the_planner_has_statistics_of_both(loaded: Tables) -> None:
    rows = str(Source(Path(__file__).parents[3] / "service" / "dataset" / "files").manifest.facts["airports"])
    assert loaded.both("SELECT reltuples::int FROM pg_class WHERE relname = 'airports'") == [rows, rows]


def test_a_second_load_changes_nothing_and_keeps_status_updates(few_files: Path, loaded: Tables) -> None:
    loaded.run("UPDATE flights SET status = 'boarding', departure_delay_min = 500 WHERE id = 1")
    before = loaded.both("SELECT loaded_at FROM dataset_load")
    assert on(loaded.url).load(Source(few_files), NullProgress()) is False
    assert loaded.run("SELECT status FROM flights WHERE id = 1") == "boarding"
    assert loaded.both("SELECT loaded_at FROM dataset_load") == before


def test_a_forced_load_makes_everything_again(few_files: Path, loaded: Tables) -> None:
    loaded.run(CHANGE)
    loaded.run("UPDATE flights SET status = 'boarding' WHERE id = 1")
    assert on(loaded.url).load(Source(few_files), NullProgress(), force=True) is True
    assert loaded.both("SELECT count(*) FROM status_changes") == ["0", "0"]
    assert loaded.run("SELECT status FROM flights WHERE id = 1") == "arrived"
    assert loaded.both("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'") == ["7", "0"]


def test_a_database_that_lost_rows_is_damaged(few_files: Path, loaded: Tables) -> None:
    loaded.run("DELETE FROM weather WHERE origin = 'JFK'")
    with pytest.raises(DamagedDatabase, match=r"weather hours: expected .*, found .*--force"):
        on(loaded.url).load(Source(few_files), NullProgress())


def test_other_data_is_replaced_and_reported(few_files: Path, loaded: Tables) -> None:
    loaded.run("UPDATE dataset_load SET digest = 'older'")
    spoken = Spoken()
    assert on(loaded.url).load(Source(few_files), spoken) is True
    assert any("another version" in line for line in spoken.lines)


def test_other_data_with_status_updates_is_kept_until_forced(few_files: Path, loaded: Tables) -> None:
    loaded.run("UPDATE dataset_load SET digest = 'older'")
    loaded.run(CHANGE)
    with pytest.raises(KeptChanges, match="1 status updates"):
        on(loaded.url).load(Source(few_files), NullProgress())
    assert loaded.run("SELECT count(*) FROM status_changes") == "1"


def test_a_schema_that_is_behind_is_migrated_with_its_rows(few_files: Path, loaded: Tables) -> None:
    loaded.run(CHANGE)
    for name in ("ix_flights_departure", "ix_flights_origin_departure", "ix_flights_origin_date"):
        loaded.run(f"DROP INDEX {name}")
    loaded.run("DROP INDEX ix_flights_destination_departure, ix_flights_carrier_departure")
    loaded.run("DROP INDEX ix_flights_departure_delay, ix_status_changes_flight")
    loaded.run("DROP TABLE outbox")
    loaded.run("DELETE FROM alembic_version WHERE version_num = '0002'")
    loaded.run("UPDATE alembic_version SET version_num = '0001'")
    assert on(loaded.url).load(Source(few_files), NullProgress()) is False
    assert loaded.run("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'") == "7"
    assert loaded.run("SELECT count(*) FROM status_changes") == "1"
    assert loaded.run("SELECT count(*) FROM outbox") == "0"


def test_migrating_makes_the_tables_and_keeps_what_is_in_them(few_files: Path, fresh: Tables) -> None:
    on(fresh.url).migrate()
    assert fresh.both("SELECT count(*) FROM flights") == ["0", "0"]
    on(fresh.url).load(Source(few_files), NullProgress())
    on(fresh.url).migrate()
    assert fresh.both("SELECT count(*) > 0 FROM flights") == ["t", "t"]
    assert fresh.both("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'") == ["7", "0"]


def test_migrating_takes_secondary_indexes_from_the_twin(loaded: Tables) -> None:
    on(loaded.url.set(database=loaded.names[1])).migrate()
    assert loaded.both("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'") == ["7", "7"]
    assert [state.schema_is_current for state in on(loaded.url).states()] == [True, False]
    on(loaded.url).migrate()
    assert loaded.both("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'") == ["7", "0"]


def test_the_database_is_not_made_again_when_its_twin_can_not_be(few_files: Path, loaded: Tables) -> None:
    loaded.run("UPDATE flights SET status = 'boarding' WHERE id = 1")
    refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not now''; END'"
    at_commit = (
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON dataset_load DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    for statement in (refuse, at_commit):
        loaded.server.run(statement, database=loaded.names[1])
    with pytest.raises(ServerFailed, match="not now"):
        on(loaded.url).load(Source(few_files), NullProgress(), force=True)
    assert loaded.run("SELECT status FROM flights WHERE id = 1") == "boarding"


def every_other(content: bytes) -> Iterator[list[str]]:
    return (record for number, record in enumerate(records(content)) if number % 2)


def test_a_load_with_wrong_facts_leaves_nothing(
    few_files: Path, fresh: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.dataset.server.records", every_other)
    with pytest.raises(WrongContent, match=r"flights: expected 3,\d+, found 1,\d+"):
        on(fresh.url).load(Source(few_files), NullProgress())
    assert fresh.both("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == ["0", "0"]


@pytest.mark.parametrize("moment", ["airlines", "flights", "indexes"])
def test_a_killed_load_leaves_nothing_and_the_next_one_completes(few_files: Path, fresh: Tables, moment: str) -> None:
    with loader(few_files, fresh.url) as process:
        assert process.stdout
        for line in process.stdout:
            if line.strip() == moment:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert fresh.both("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == ["0", "0"]
    assert on(fresh.url).load(Source(few_files), NullProgress()) is True


def test_a_killed_forced_load_leaves_the_old_rows(few_files: Path, loaded: Tables) -> None:
    loaded.run("UPDATE flights SET status = 'boarding' WHERE id = 1")
    program = LOADER.replace("Loud())", "Loud(), force=True)")
    url = loaded.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", program, few_files, url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if line.strip() == "indexes":
                process.kill()
                break
    assert loaded.run("SELECT status FROM flights WHERE id = 1") == "boarding"
    assert loaded.run("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'") == "7"


def test_two_loads_at_once_make_one_and_the_other_finds_it_made(few_files: Path, fresh: Tables) -> None:
    loads = [loader(few_files, fresh.url) for _ in range(2)]
    results = [load.communicate()[0].split()[-1] for load in loads]
    assert sorted(results) == ["False", "True"]


def test_a_forced_load_while_tables_are_locked_fails_with_the_reason(
    few_files: Path, loaded: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.dataset.server.LOCK_TIMEOUT_S", 0.2)
    psql = [installed("psql"), "-h", "127.0.0.1", "-p", str(loaded.server.port), "-U", "postgres", "-X", "-t"]
    with subprocess.Popen(
        [*psql, "-d", loaded.names[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin
        assert reader.stdout
        print("BEGIN; SELECT count(*) FROM flights;", file=reader.stdin, flush=True)
        while not reader.stdout.readline().strip().isdigit():
            pass
        with pytest.raises(DatabaseInUse, match="in use by a running process"):
            on(loaded.url).load(Source(few_files), NullProgress(), force=True)
        reader.stdin.close()


def test_a_refused_connection_is_reported_without_the_password(few_files: Path) -> None:
    url = URL.create("postgresql+asyncpg", "user", "secret", "127.0.0.1", free_port(), "flights")
    with pytest.raises(ServerFailed, match=r"127\.0\.0\.1.*the database is unchanged") as raised:
        on(url).load(Source(few_files), NullProgress())
    assert "secret" not in str(raised.value)


def test_a_role_without_createdb_gets_the_error_of_the_server(few_files: Path, fresh: Tables) -> None:
    fresh.server.run("CREATE ROLE reader LOGIN")
    try:
        with pytest.raises(ServerFailed, match="permission denied to create database"):
            on(fresh.url.set(username="reader")).load(Source(few_files), NullProgress())
    finally:
        fresh.server.run("DROP ROLE reader")
    assert not fresh.exist()


def test_a_look_at_the_state_makes_no_database(fresh: Tables) -> None:
    assert [state.digest for state in on(fresh.url).states()] == [None, None]
    assert not fresh.exist()


def test_the_state_describes_both_databases(loaded: Tables) -> None:
    loaded.run(CHANGE)
    states = on(loaded.url).states()
    assert [state.name.rsplit("/", 1)[-1] for state in states] == list(loaded.names)
    assert [state.status_changes for state in states] == [1, 0]
    assert all(state.digest and state.schema_is_current and state.size_bytes > 1_000_000 for state in states)
