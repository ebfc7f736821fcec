"""The wheel of flightdeck-lab, installed beside an application that has packages with the names of ours."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.flightdeck.test_serve import served
from tests.lab.kit.services import ORDERS
from tests.servers import program
from tests.servers.asgi import serving
from tests.servers.port import free_port

REPOSITORY = Path(__file__).parents[2]
COMMANDS = re.findall(
    r"^(?:pip|flightdeck|prometheus|alertmanager) .*$", (REPOSITORY / "docs/kit.md").read_text("utf-8"), re.MULTILINE
)
"""Of the page about the kit, which begins with the installation."""
OF_THE_APPLICATION = ("service", "lab", "observability", "prometheus", "grafana")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=60)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Iterator[Path]:
    """An environment with the wheel, what it requires, and an application with packages of the same names."""
    uv = [sys.executable, "-m", "uv", "--quiet"]
    environment = tmp_path / "environment"
    subprocess.run([*uv, "venv", "--python", sys.executable, environment], check=True, timeout=60)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    # The requirements become importable; the checkout does not, as this reads no .pth files of the other environment.
    (packages / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    for name in OF_THE_APPLICATION:
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text(f"ours = {name!r}\n")
    install = shown("pip install", {"path/to/flightdeck": str(wheel)})
    subprocess.run([*uv, *install, "--python", environment, "--no-deps"], check=True, timeout=60)
    yield environment
    subprocess.run([*uv, "pip", "uninstall", "--python", environment, "flightdeck-lab"], check=True, timeout=60)
    left = {path.name for path in packages.iterdir()}
    assert {*OF_THE_APPLICATION} <= left
    assert not {name for name in left if "flightdeck" in name}
    for name in OF_THE_APPLICATION:
        assert (packages / name / "__init__.py").read_text() == f"ours = {name!r}\n"


def test_the_only_top_level_name_is_flightdeck(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"flightdeck", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}
    assert "flightdeck/_packages/lab/report/templates/report.html.j2" in names
    assert "flightdeck/_packages/service/dataset/files/flights.csv.xz" in names
    assert "flightdeck/_packages/prometheus/accelerated/alerts/database.yml" in names
    assert "flightdeck/_packages/prometheus/alertmanager/templates/flightdeck.tmpl" in names, "for the kit"
    assert {f"flightdeck/_packages/{path}" for path in ("docs/runbooks/pool-exhausted.md", "slo.toml")} <= set(names)


def shown(start: str, changes: dict[str, str]) -> list[str]:
    """Return the first command of the page that begins so, with other values."""
    command = next(one for one in COMMANDS if one.startswith(start))
    for value, used in changes.items():
        assert value in command
        command = command.replace(value, used)
    return shlex.split(command)


def run(*command: str | Path, cwd: Path, code: int = 0, error: str = "", timeout_s: float = 60.0) -> str:
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, cwd=cwd, env=environment, input="", capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == code, done.stderr
    assert error in done.stderr
    return done.stdout


def test_flightdeck_runs_and_leaves_the_packages_of_the_application_alone(
    installed: Path, few_flights: Path, tmp_path: Path
) -> None:
    python, flightdeck = (installed / "bin" / name for name in ("python", "flightdeck"))
    directory = tmp_path / "application"
    (directory / "service").mkdir(parents=True)
    (directory / "service" / "__init__.py").touch()  # python -m has the working directory on its path

    assert "experiments" in run(flightdeck, "--help", cwd=directory)
    status = run(flightdeck, "data", "status", "--data-dir", few_flights, cwd=directory, code=1)
    assert "another version, loaded" in status
    for module in ("lab.load.generator", "service.techniques"):
        run(python, "-m", "flightdeck.module", module, cwd=directory)
    with served(few_flights, program=str(flightdeck)) as (_, url):
        page = httpx.get(url, headers={"Accept": "text/html"})
        assert (page.status_code, "Flightdeck" in page.text) == (200, True)

    kit = {"--kubernetes": "kubernetes/prometheusrule.yaml", "--compose": "compose.yaml", "--openslo": "openslo.yaml"}
    with serving(Starlette(routes=[Route("/metrics", lambda _: PlainTextResponse(ORDERS))])) as url:
        _, *init = shown("flightdeck kit init", {"http://localhost:9464": url})
        assert "7 routes" in run(flightdeck, *init, cwd=directory)
    _, *build = shown("flightdeck kit build", {})
    run(flightdeck, *build, *kit, cwd=directory)
    _, *drill = shown("flightdeck kit drill", {"http://localhost:9090": "http://127.0.0.1:1"})
    run(flightdeck, *drill, cwd=directory, code=1, error="http://127.0.0.1:1 does not respond like Prometheus")
    for path in ("runbooks/pool-exhausted.md", "loki/loki.yaml", "grafana/dashboards/pooling.json", *kit.values()):
        assert (directory / "monitoring" / path).stat().st_size > 500, path

    names = ", ".join(OF_THE_APPLICATION)
    assert run(python, "-c", f"import {names}; print(service.ours, lab.ours)", cwd=tmp_path) == "service lab\n"


@contextmanager
def started(*command: str | Path, cwd: Path, ready: str) -> Iterator[None]:
    """Run the server during the block, which begins when the URL responds."""
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    httpx.get(ready).raise_for_status()
                    break
                except httpx.HTTPError:
                    assert server.poll() is None, f"{command[0]} exited with {server.returncode}"
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            yield
        finally:
            server.terminate()


@pytest.mark.timeout(600)
def test_the_page_leads_from_the_installation_to_a_delivered_alert(installed: Path, tmp_path: Path) -> None:
    flightdeck = installed / "bin" / "flightdeck"
    prometheus, alertmanager = map(program.installed, ("prometheus", "prometheus-alertmanager"))
    names = ("proxy", "prometheus", "alertmanager", "receiver")
    addresses = {name: f"127.0.0.1:{free_port()}" for name in names}
    directory, kit = tmp_path / "shop", tmp_path / "shop" / "monitoring"
    directory.mkdir()
    with ExitStack() as stack:
        shop = Starlette(routes=[Route("/metrics", lambda _: PlainTextResponse(ORDERS))])
        url = stack.enter_context(serving(shop))
        job = f"--job shop --target {addresses['proxy']}"
        _, *init = shown("flightdeck kit init", {"http://localhost:9464": url, "--job shop": job})
        run(flightdeck, *init, cwd=directory)
        slo = directory / "slo.toml"
        slo.write_text(slo.read_text("utf-8").replace("localhost:9095", addresses["receiver"]), "utf-8")
        _, *build = shown("flightdeck kit build", {"kit build": "kit build --accelerated"})
        run(flightdeck, *build, cwd=directory)
        config = kit / "prometheus/prometheus.yml"
        text = config.read_text("utf-8").replace("localhost:9090", addresses["prometheus"])
        config.write_text(text.replace("alertmanager:9093", addresses["alertmanager"]), "utf-8")

        _, *receive = shown("flightdeck receiver", {})
        port = addresses["receiver"].rpartition(":")[2]
        ready = f"http://{addresses['receiver']}/livez"
        stack.enter_context(started(flightdeck, *receive, "--port", port, cwd=directory, ready=ready))
        for name, path, options in (
            (
                "alertmanager",
                alertmanager,
                ["--cluster.listen-address=", f"--storage.path={tmp_path / 'alertmanager'}"],
            ),
            # A minute of accelerated rules, which is the default.
            ("prometheus", prometheus, [f"--storage.tsdb.path={tmp_path / 'data'}", "--rules.alert.resend-delay=1s"]),
        ):
            command = [path, *shown(f"{name} ", {})[1:], f"--web.listen-address={addresses[name]}", *options]
            stack.enter_context(started(*command, cwd=directory, ready=f"http://{addresses[name]}/-/ready"))
        changes = {
            "localhost:9465": addresses["proxy"],
            "localhost:9464": url.removeprefix("http://"),
            "http://localhost:9090": f"http://{addresses['prometheus']}",
            "http://localhost:9095": f"http://{addresses['receiver']} --json",
        }
        _, *drill = shown("flightdeck kit drill", changes)
        outcome = json.loads(run(flightdeck, *drill, cwd=directory, timeout_s=600))
    [alert] = outcome["alerts"]
    assert (outcome["failure"], alert["alert"]) == ("", "ShopServiceDown")
    assert alert["delivered_s"] is not None
    assert alert["resolution_delivered_s"] is not None
