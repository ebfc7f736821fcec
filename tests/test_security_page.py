"""SECURITY.md: the guarantees that no other module tests, and that the tests and settings it names exist."""

import hmac
import re
import socket
from pathlib import Path
from typing import Final

import psutil
import pytest
from starlette.applications import Starlette

from observability import TelemetrySettings, instrument
from service.settings import Settings
from tests.servers.arm import BEARER, WRITE_TOKEN, arm_settings, running_arm
from tests.servers.asgi import serving
from tests.servers.port import free_port
from tests.servers.varnish import varnish
from tests.test_secrets import tracked

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = (ROOT / "SECURITY.md").read_text("utf-8")
PURGE: Final = "PROXY TCP4 {client} 127.0.0.1 4000 80\r\nPURGE / HTTP/1.1\r\nHost: edge\r\nSurrogate-Key: *\r\n\r\n"


def test_every_guarantee_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \|$", PAGE, re.MULTILINE)[2:]
    assert len(rows) > 15
    for guarantee, tests in rows:
        named = re.findall(r"`(tests/[\w/.]+)`", tests)
        assert named, guarantee
        assert [path for path in named if not (ROOT / path).is_file()] == []


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", PAGE))
    assert named
    assert named <= {name.upper() for name in Settings.model_fields}


def test_a_token_is_compared_in_constant_time_with_every_valid_one(
    monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    compared: list[tuple[object, object]] = []
    compare = hmac.compare_digest

    def recorded(sent: bytes, valid: bytes) -> bool:
        compared.append((sent, valid))
        return compare(sent, valid)

    monkeypatch.setattr(hmac, "compare_digest", recorded)
    with running_arm(arm_settings("none", data_dir, write_token_previous="old")) as arm:
        arm.client.patch("/flights/1/status", json={"status": "boarding"}, headers=BEARER)

    assert compared == [(WRITE_TOKEN.encode(), WRITE_TOKEN.encode()), (WRITE_TOKEN.encode(), b"old")]


def test_an_export_of_a_removed_token_cannot_be_read(data_dir: Path) -> None:
    old, new = ({"Authorization": f"Bearer {token}"} for token in ("old", "new"))
    with running_arm(arm_settings("indexes", data_dir, write_token="old")) as arm:
        address = arm.client.post("/exports", json={"carrier": "ZZ"}, headers=old).headers["Location"]
    with running_arm(arm_settings("indexes", data_dir, write_token="new")) as arm:
        statuses = [arm.client.get(address + path, headers=new).status_code for path in ("", "/file")]

    assert statuses == [404, 404]


@pytest.mark.parametrize("techniques", ["none", "all"])
def test_without_a_replica_no_response_sets_a_cookie(techniques: str, data_dir: Path) -> None:
    with running_arm(arm_settings(techniques, data_dir)) as arm:
        responses = [
            arm.client.get(path) for path in ("/", "/docs", "/airlines", "/flights?limit=1", "/flights/0", "/readyz")
        ]
        responses.append(arm.client.patch("/flights/1/status", json={"status": "boarding"}, headers=BEARER))
        responses.append(arm.client.patch("/flights/1/status", json={"status": "boarding"}))

    assert {response.status_code for response in responses} >= {200, 401}
    assert [response for response in responses if "set-cookie" in response.headers] == []


def test_the_metrics_port_listens_on_loopback_only() -> None:
    app = Starlette()
    telemetry = instrument(app, settings=TelemetrySettings(metrics_port=free_port()))
    with serving(app):
        listening = {
            connection.laddr.ip
            for connection in psutil.Process().net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == telemetry.metrics_port
        }

    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize(("client", "status"), [("203.0.113.9", 403), ("10.1.2.3", 200), ("127.0.0.1", 200)], ids=str)
def test_varnish_purges_for_private_addresses_only(
    varnish_program: str, tmp_path: Path, client: str, status: int
) -> None:
    service = f"http://127.0.0.1:{free_port()}"
    with (
        varnish(varnish_program, tmp_path, service_url=service, protocol="PROXY") as edge,
        socket.create_connection(("127.0.0.1", int(edge.rpartition(":")[2])), timeout=60) as connection,
    ):
        connection.sendall(PURGE.format(client=client).encode())
        assert connection.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("file", sorted(ROOT.glob("requirements*.txt")), ids=lambda file: file.name)
def test_every_requirement_is_pinned_with_hashes_and_no_index_is_named(file: Path) -> None:
    text = file.read_text("utf-8")
    requirements = re.split(r"\n(?!    )", text.strip())
    assert requirements
    for requirement in requirements:
        assert re.match(
            r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==\S+( ; [^\n\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", requirement
        )
    assert "://" not in text
    assert "index" not in re.sub(r"^[\w.-]+==", "", text, flags=re.MULTILINE)


def test_every_exception_from_the_security_rules_states_its_reason() -> None:
    exceptions = [
        line
        for file in tracked()
        if file.suffix == ".py"
        for line in file.read_text("utf-8").splitlines()
        if re.search(r"# noqa: (?:[A-Z]+\d+, ?)*S\d", line)
    ]
    assert exceptions
    assert [line for line in exceptions if not re.search(r"# noqa: (?:[A-Z]+\d+,? )+\S", line + " ")] == []
