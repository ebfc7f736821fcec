import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.port import free_port
from tests.servers.postgres import OWNER, PostgresServer, server_directory
from tests.servers.program import installed

pytestmark = pytest.mark.server("postgresql")

SCRIPTS = Path(__file__).parents[2] / "deploy" / "postgres"


@pytest.fixture
def environment(postgres_server: PostgresServer) -> dict[str, str]:
    """The environment of the image, for a server outside it."""
    programs = Path(installed("pg_basebackup")).resolve().parent
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "POSTGRES_USER": "postgres",
        "REPLICATION_PASSWORD": "it's $ecret",
        "PRIMARY_HOST": "127.0.0.1",
        "PRIMARY_PORT": str(postgres_server.port),
    }


@pytest.fixture
def prepared(postgres_server: PostgresServer, environment: dict[str, str]) -> Iterator[PostgresServer]:
    """A primary on which primary.sh has run."""
    at_server = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres_server.port), "PGDATA": str(postgres_server.directory)}
    access = postgres_server.directory / "pg_hba.conf"
    before = access.read_text()
    run_as_owner("primary.sh", environment | at_server)
    yield postgres_server
    postgres_server.run("SELECT pg_drop_replication_slot('replica')")
    postgres_server.run("DROP ROLE replicator")
    access.write_text(before)


def run_as_owner(script: str, environment: dict[str, str]) -> None:
    command = ["/bin/sh", "-c", (SCRIPTS / script).read_text()]
    subprocess.run(command, env=environment, user=OWNER, group=OWNER, check=True, capture_output=True)


def test_a_new_primary_gets_the_role_and_the_slot_of_the_replica(prepared: PostgresServer) -> None:
    assert prepared.run("SELECT rolreplication FROM pg_roles WHERE rolname = 'replicator'") == "t"
    assert prepared.run("SELECT slot_type FROM pg_replication_slots WHERE slot_name = 'replica'") == "physical"
    access = (prepared.directory / "pg_hba.conf").read_text().splitlines()
    assert access[-1] == "host replication replicator all scram-sha-256"


def test_the_replica_starts_from_a_base_backup_and_streams(
    prepared: PostgresServer, environment: dict[str, str]
) -> None:
    with server_directory() as directory:
        replica = PostgresServer(directory / "replica", port=free_port())
        partial = directory / "replica.partial"
        partial.mkdir()
        (partial / "PG_VERSION").write_text("left by an interrupted backup")
        if OWNER:
            shutil.chown(partial, OWNER, OWNER)
        options = [f"port={replica.port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        server_options = [word for option in options for word in ("-c", option)]
        replica.process = subprocess.Popen(
            ["/bin/sh", "-c", (SCRIPTS / "replica.sh").read_text(), "replica.sh", *server_options],
            env=environment | {"PGDATA": str(replica.directory)},
            user=OWNER,
            group=OWNER,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_streaming(replica, prepared)
            assert not partial.exists()
            assert replica.run("SHOW hot_standby_feedback") == "on"
            assert prepared.run("SELECT active FROM pg_replication_slots WHERE slot_name = 'replica'") == "t"
        finally:
            replica.stop()


def wait_until_streaming(replica: PostgresServer, primary: PostgresServer) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert replica.process
        assert replica.process.poll() is None, "the replica exited"
        assert time.monotonic() < deadline
        try:
            if replica.run("SELECT pg_is_in_recovery()") == "t":
                break
        except subprocess.CalledProcessError:
            time.sleep(0.1)
    following = "SELECT application_name FROM pg_stat_replication WHERE usename = 'replicator'"
    while primary.run(following) != "replica":
        assert time.monotonic() < deadline
        time.sleep(0.1)
