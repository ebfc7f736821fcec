import json
import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL
from typer.testing import CliRunner

from flightdeck.cli import app
from tests.servers.embedded import FLIGHTDECK, embedded

pytestmark = pytest.mark.timeout(400)  # the first test loads the whole year

WITHOUT_SETTINGS = {"PATH": os.environ["PATH"]}


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run([FLIGHTDECK, *arguments], capture_output=True, text=True, check=False, env=WITHOUT_SETTINGS)


def flightdeck(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which has imported everything."""
    result = CliRunner().invoke(app, arguments, env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True, kw_only=True)
class YearLoad:
    """The output of `flightdeck data load` for the whole year."""

    directory: Path
    result: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def year_load(tmp_path_factory: pytest.TempPathFactory) -> YearLoad:
    """The whole year, loaded once by the command."""
    directory = tmp_path_factory.mktemp("year") / "data"
    return YearLoad(directory=directory, result=process("data", "load", "--data-dir", str(directory)))


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_a_load_prints_lines_where_there_is_no_terminal(year_load: YearLoad) -> None:
    assert year_load.result.stderr.splitlines() == [
        "airlines: 16 of 16",
        "airports: 1,458 of 1,458",
        "aircraft: 3,322 of 3,322",
        "weather: 26,115 of 26,115",
        "flights: 100,000 of 336,776",
        "flights: 200,000 of 336,776",
        "flights: 300,000 of 336,776",
        "flights: 336,776 of 336,776",
        "indexes: 7 of 7",
    ]
    assert year_load.result.stdout.startswith("336,776 flights loaded into ")


def test_the_whole_year_is_loaded_with_its_gaps(year_load: YearLoad) -> None:
    for path in embedded(year_load.directory).paths:
        assert rows(path, "SELECT count(*) FROM flights") == [(336_776,)]
        assert rows(path, "SELECT count(*) FROM weather") == [(26_115,)]
        assert rows(path, "SELECT count(*) FROM airports") == [(1_458,)]
        assert rows(path, "SELECT count(*) FROM aircraft") == [(3_322,)]
        assert rows(path, "SELECT count(*) FROM airlines") == [(16,)]
        assert rows(path, "SELECT count(*) FROM flights WHERE status = 'cancelled'") == [(8_255,)]
        assert rows(path, "SELECT count(*) FROM flights WHERE tail_number IS NULL") == [(2_512,)]
        assert rows(
            path, "SELECT count(*) FROM flights f LEFT JOIN aircraft USING (tail_number) WHERE seats IS NULL"
        ) == [(50_094 + 2_512,)]
        assert rows(
            path,
            "SELECT destination, count(*) FROM flights WHERE destination NOT IN (SELECT faa FROM airports)"
            " GROUP BY 1 ORDER BY 1",
        ) == [("BQN", 896), ("PSE", 365), ("SJU", 5_819), ("STT", 522)]


def test_a_load_leaves_the_two_databases_and_nothing_else(year_load: YearLoad) -> None:
    assert sorted(path.name for path in year_load.directory.iterdir()) == ["flightdeck-unindexed.db", "flightdeck.db"]


def test_a_second_load_reports_that_the_flights_are_loaded(year_load: YearLoad) -> None:
    again = flightdeck("data", "load", "--data-dir", str(year_load.directory))
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("336,776 flights already loaded and verified in")


def test_data_dir_is_read_from_the_environment(year_load: YearLoad) -> None:
    assert flightdeck("data", "status", DATA_DIR=str(year_load.directory)).returncode == 0


def test_an_explicit_directory_wins_over_the_environment(year_load: YearLoad, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    status = flightdeck("data", "status", "--data-dir", str(year_load.directory), DATABASE_URL=url)
    assert (status.returncode, "other.db" in status.stdout) == (0, False)


def test_status_describes_both_databases(year_load: YearLoad) -> None:
    status = process("data", "status", "--json", "--data-dir", str(year_load.directory))
    databases = json.loads(status.stdout)
    assert [Path(database["name"]).name for database in databases] == ["flightdeck.db", "flightdeck-unindexed.db"]
    assert all(database["is_current"] and database["status_changes"] == 0 for database in databases)
    assert databases[0]["size_bytes"] > databases[1]["size_bytes"] > 100_000_000


def test_status_without_data_names_the_load_command_and_fails(tmp_path: Path) -> None:
    status = flightdeck("data", "status", "--data-dir", str(tmp_path))
    assert status.returncode == 1
    assert status.stdout.count("nothing is loaded; `flightdeck data load` loads the flights") == 2


def test_status_of_another_version_fails(few_flights: Path) -> None:
    status = flightdeck("data", "status", "--data-dir", str(few_flights))
    assert status.returncode == 1
    assert status.stdout.count("another version") == 2


def test_a_directory_that_cannot_be_written_fails_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    load = process("data", "load", "--data-dir", str(tmp_path / "file"))
    assert (load.returncode, load.stdout) == (1, "")
    assert load.stderr.startswith(f"cannot write {tmp_path / 'file'}: ")
    assert "Traceback" not in load.stderr


@pytest.mark.parametrize("command", ["load", "status"])
def test_a_bad_setting_is_named_with_what_is_allowed(command: str) -> None:
    result = flightdeck("data", command, DATABASE_URL="mysql://user:secret@host/flights")
    assert result.returncode == 2
    assert "DATABASE_URL: the scheme 'mysql' is not supported; allowed: sqlite+aiosqlite" in result.stderr
    assert "secret" not in result.stderr


def test_ctrl_c_stops_a_load_without_a_traceback_and_leaves_no_files(tmp_path: Path) -> None:
    command = [FLIGHTDECK, "data", "load", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=WITHOUT_SETTINGS) as load:
        assert load.stderr
        assert load.stderr.readline() == "airlines: 16 of 16\n"
        load.send_signal(signal.SIGINT)
        rest = load.stderr.read()
    assert load.returncode == 130
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


def test_an_embedded_database_needs_no_migration(tmp_path: Path) -> None:
    result = flightdeck("data", "migrate", "--database-url", f"sqlite:///{tmp_path / 'flights.db'}")
    assert (result.returncode, result.stdout) == (1, "")
    assert "needs no migration: `flightdeck data load` loads it again" in result.stderr


@pytest.mark.server("postgresql")
def test_a_postgres_database_is_migrated_and_described(postgres_url: URL) -> None:
    url = postgres_url.render_as_string(hide_password=False)
    migrated = flightdeck("data", "migrate", DATABASE_URL=url)
    assert (migrated.returncode, migrated.stdout) == (0, "Schema is up to date.\n")
    databases = json.loads(flightdeck("data", "status", "--json", DATABASE_URL=url).stdout)
    assert [database["schema_is_current"] for database in databases] == [True, True]
