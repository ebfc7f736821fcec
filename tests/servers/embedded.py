"""SqliteTarget databases for tests: four real days, loaded once and copied for each test; or the whole year."""

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from service.dataset import make
from service.dataset.embedded import SqliteTarget
from service.dataset.source import Source
from tests.servers.progress import NullProgress
from tests.servers.shared import shared_directory

DAYS = {("2013", "1", "1"), ("2013", "1", "2"), ("2013", "2", "1"), ("2013", "7", "1")}
"""Days with cancelled and diverted flights, unknown aircraft and unknown airports; 3,700 flights."""

FLIGHTDECK = str(Path(sys.executable).with_name("flightdeck"))
"""The command of this environment."""


def of_the_days(content: bytes, *, first_column: int) -> bytes:
    """Return the header and the lines of `DAYS`; year, month and day begin at this column."""
    header, *lines = content.decode().splitlines(keepends=True)
    kept = (line for line in lines if tuple(line.split(",", first_column + 3)[first_column : first_column + 3]) in DAYS)
    return "".join([header, *kept]).encode()


@pytest.fixture(scope="session")
def few_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory like the repository's copy of the data, with the flights and the weather of `DAYS` only."""

    def write(directory: Path) -> None:
        contents = Source().contents()
        contents["flights.csv"] = of_the_days(contents["flights.csv"], first_column=0)
        contents["weather.csv"] = of_the_days(contents["weather.csv"], first_column=1)
        make.write(contents, directory, preset=0)

    return shared_directory(tmp_path_factory, "few-files", write)


@pytest.fixture(scope="session")
def pristine_flights(few_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the flights of `DAYS`; every worker copies it, because SQLite adds files while it reads."""

    def load(directory: Path) -> None:
        embedded(directory).load(Source(few_files), NullProgress())

    return shared_directory(tmp_path_factory, "pristine-flights", load)


@pytest.fixture(scope="session")
def few_flights(pristine_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the flights of `DAYS`; for tests that only read."""
    return Path(shutil.copytree(pristine_flights, tmp_path_factory.mktemp("few-flights") / "data"))


@pytest.fixture(scope="session")
def sparse_flights(pristine_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a tenth of the flights of four days, and all that are cancelled or diverted."""
    directory = Path(shutil.copytree(pristine_flights, tmp_path_factory.mktemp("sparse-flights") / "data"))
    for database in directory.glob("*.db"):
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM flights WHERE id % 10 AND status = 'arrived'")
    return directory


@pytest.fixture
def data_dir(pristine_flights: Path, tmp_path: Path) -> Path:
    """A data directory with the flights of `DAYS` that the test may change."""
    return Path(shutil.copytree(pristine_flights, tmp_path / "data"))


def embedded(directory: Path) -> SqliteTarget:
    """Return the databases that the service expects in a data directory."""
    return SqliteTarget(indexed=directory / "flightdeck.db", unindexed=directory / "flightdeck-unindexed.db")
