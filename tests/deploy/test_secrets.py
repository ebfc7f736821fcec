"""The scripts that make the stack's secrets and hand them to a process."""

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

DEPLOY = Path(__file__).parents[2] / "deploy"


def made(directory: Path, **given: str) -> dict[str, str]:
    """What is in the folder after `secrets.sh` ran."""
    environment = {"PATH": os.environ["PATH"], "SECRETS_DIR": str(directory), **given}
    subprocess.run(["/bin/sh", DEPLOY / "secrets.sh"], env=environment, check=True)
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_every_secret_is_long_and_no_two_are_the_same(tmp_path: Path) -> None:
    found = made(tmp_path)
    passwords = [value for name, value in found.items() if name.endswith(("_password", "_key", "_token"))]
    assert len(passwords) == 10
    assert len(set(passwords)) == 10
    assert min(map(len, passwords)) >= 24
    assert found["postgres_password"] != made_elsewhere(tmp_path)["postgres_password"]


def made_elsewhere(tmp_path: Path) -> dict[str, str]:
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    return made(directory)


def test_addresses_carry_the_password_of_their_server(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert urlsplit(found["database_url"]).password == found["service_password"]
    assert urlsplit(found["celery_broker_url"]).password == found["rabbitmq_password"]
    assert urlsplit(found["sentry_dsn"]).username == found["bugsink_project_key"]
    assert urlsplit(found["sentry_dsn"]).path == "/1"


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    assert made(tmp_path) == made(tmp_path, GRAFANA_PASSWORD="too late")


def test_a_secret_that_is_given_is_taken(tmp_path: Path) -> None:
    assert made(tmp_path, GRAFANA_PASSWORD="mine")["grafana_password"] == "mine"


def test_nobody_may_change_a_secret(tmp_path: Path) -> None:
    made(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o444}


def started(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a process said that was started with `with-secrets.sh`."""
    return subprocess.run(
        ["/bin/sh", DEPLOY / "with-secrets.sh", *command],
        env={"PATH": os.environ["PATH"], **environment},
        text=True,
        capture_output=True,
        check=False,
    )


def test_a_file_becomes_the_variable_and_its_name_is_gone(tmp_path: Path) -> None:
    secret = tmp_path / "word"
    secret.write_text("p$a'ss \"word")
    show = 'printf "%s|%s" "$WORD" "${WORD_FILE-gone}"'
    done = started("sh", "-c", show, SECRETS_DIR=str(tmp_path), WORD_FILE=str(secret))
    assert done.stdout == "p$a'ss \"word|gone"


def test_other_variables_that_end_so_are_left_alone() -> None:
    done = started("sh", "-c", 'echo "$SSL_CERT_FILE ${SSL_CERT-none}"', SSL_CERT_FILE="/etc/hostname")
    assert done.stdout == "/etc/hostname none\n"


def test_a_secret_that_is_missing_stops_the_start_and_is_named() -> None:
    done = started("true", WORD_FILE="/run/flightdeck/no-such-secret")
    assert done.returncode == 1
    assert "WORD_FILE names /run/flightdeck/no-such-secret" in done.stderr
