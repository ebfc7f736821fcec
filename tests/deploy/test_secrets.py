"""The scripts that generate the stack's secrets and pass them to a process."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from tests.servers.postgres import OWNER

DEPLOY = Path(__file__).parents[2] / "deploy"


def generated(directory: Path, **overrides: str) -> dict[str, str]:
    """Return the files that `secrets.sh` leaves in the directory, with their content."""
    environment = {"PATH": os.environ["PATH"], "SECRETS_DIR": str(directory), **overrides}
    subprocess.run(["/bin/sh", DEPLOY / "secrets.sh"], env=environment, check=True)
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_every_secret_is_long_and_no_two_are_the_same(tmp_path: Path) -> None:
    found = generated(tmp_path)
    passwords = [value for name, value in found.items() if name.endswith(("_password", "_key", "_token"))]
    assert len(passwords) == 10
    assert len(set(passwords)) == 10
    assert min(map(len, passwords)) >= 24
    assert found["postgres_password"] != generated_again(tmp_path)["postgres_password"]


def generated_again(tmp_path: Path) -> dict[str, str]:
    directory = tmp_path / "other"
    directory.mkdir()
    return generated(directory)


def test_urls_contain_the_password_of_their_server(tmp_path: Path) -> None:
    found = generated(tmp_path)
    assert urlsplit(found["database_url"]).password == found["service_password"]
    assert urlsplit(found["celery_broker_url"]).password == found["rabbitmq_password"]
    assert urlsplit(found["sentry_dsn"]).username == found["bugsink_project_key"]
    assert urlsplit(found["sentry_dsn"]).path == "/1"


def test_existing_secrets_are_kept(tmp_path: Path) -> None:
    assert generated(tmp_path) == generated(tmp_path, GRAFANA_PASSWORD="too late")


def test_a_secret_from_the_environment_is_used(tmp_path: Path) -> None:
    assert generated(tmp_path, GRAFANA_PASSWORD="mine")["grafana_password"] == "mine"


def test_secrets_are_read_only(tmp_path: Path) -> None:
    generated(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o444}


@pytest.fixture
def volume() -> Iterator[Path]:
    """A directory of a user other than root, who cannot overwrite a read-only file."""
    with TemporaryDirectory() as directory:
        if OWNER:
            shutil.chown(directory, OWNER, OWNER)
        yield Path(directory)


def run_in(volume: Path, path: str) -> int:
    """Generate the secrets with the programs of this PATH; return the exit code."""
    script = (DEPLOY / "secrets.sh").read_text()
    command = ["/bin/sh", "-c", script]
    environment = {"PATH": path, "SECRETS_DIR": str(volume), "CALLS": str(volume / ".calls")}
    return subprocess.run(
        command, env=environment, user=OWNER, group=OWNER, check=False, capture_output=True
    ).returncode


@pytest.mark.parametrize(("program", "when"), [("rm", "after"), ("mv", "before"), ("mv", "after"), ("od", "before")])
def test_a_run_that_was_killed_at_any_step_does_not_make_the_next_one_fail(
    program: str, when: str, volume: Path
) -> None:
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        shim = Path(directory) / program
        run, kill = (
            f'PATH={os.environ["PATH"]} {program} "$@"',
            '[ "$(wc -c < "$CALLS")" -lt "$AT" ] || { kill -KILL "$PPID"; exit; }',
        )
        steps = (run, kill) if when == "after" else (kill, run)
        for at in (1, 15):
            shim.write_text("\n".join(["#!/bin/sh", f"AT={at}", "umask 0022", 'printf . >> "$CALLS"', *steps]))
            shim.chmod(0o755)
            run_in(volume, f"{directory}:{os.environ['PATH']}")
            (volume / ".calls").unlink(missing_ok=True)
            assert run_in(volume, os.environ["PATH"]) == 0, at
            found = {path.name: path.read_text() for path in volume.iterdir()}
            assert len(found) == 15
            assert all(found.values())
            assert urlsplit(found["database_url"]).password == found["service_password"]
            assert found["bugsink_superuser"].endswith(f":{found['bugsink_password']}")
            for path in volume.iterdir():
                path.unlink()


def test_counters_of_the_edge_are_replaced_by_complete_ones_only(tmp_path: Path) -> None:
    functions = (DEPLOY / "varnish/edge.sh").read_text().partition("\nfound=")[0]
    metrics, stat = tmp_path / "varnish.prom", tmp_path / "varnishstat"
    (tmp_path / "varnish.prom.new").write_text("partial")
    (tmp_path / "varnish.prom.new").chmod(0o444)

    def publish(script: str) -> str:
        stat.write_text(f"#!/bin/sh\n{script}\n")
        stat.chmod(0o755)
        command = ["/bin/sh", "-c", f"{functions}\npublish_counters {metrics} || true", "edge.sh", "host", "8000"]
        subprocess.run(command, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=True)
        return metrics.read_text()

    assert publish("echo MAIN.uptime 7 0.00 seconds") == "varnish_main_uptime 7\n"
    assert publish("exit 1") == "varnish_main_uptime 7\n"


def run_with_secrets(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with `with-secrets.sh`."""
    return subprocess.run(
        ["/bin/sh", DEPLOY / "with-secrets.sh", *command],
        env={"PATH": os.environ["PATH"], **environment},
        text=True,
        capture_output=True,
        check=False,
    )


def test_a_file_becomes_a_variable_and_the_variable_with_its_name_is_unset(tmp_path: Path) -> None:
    secret = tmp_path / "word"
    secret.write_text("p$a'ss \"word")
    show = 'printf "%s|%s" "$WORD" "${WORD_FILE-unset}"'
    done = run_with_secrets("sh", "-c", show, SECRETS_DIR=str(tmp_path), WORD_FILE=str(secret))
    assert done.stdout == "p$a'ss \"word|unset"


def test_other_variables_with_the_suffix_are_unchanged() -> None:
    done = run_with_secrets("sh", "-c", 'echo "$SSL_CERT_FILE ${SSL_CERT-none}"', SSL_CERT_FILE="/etc/hostname")
    assert done.stdout == "/etc/hostname none\n"


def test_a_missing_secret_is_an_error_that_names_it() -> None:
    done = run_with_secrets("true", WORD_FILE="/run/flightdeck/no-such-secret")
    assert done.returncode == 1
    assert "WORD_FILE names /run/flightdeck/no-such-secret" in done.stderr
