import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sparse_flights(few_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a tenth of the flights of four days, and all that are cancelled or diverted."""
    directory = Path(shutil.copytree(few_flights, tmp_path_factory.mktemp("sparse-flights") / "data"))
    for database in directory.glob("*.db"):
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM flights WHERE id % 10 AND status = 'arrived'")
    return directory
