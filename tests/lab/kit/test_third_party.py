"""Two third-party applications with the kit's files: a real Prometheus and Alertmanager, traffic, errors, drills.

The commands are those of docs/kit.md, with an hour of the rules that lasts a minute. Both applications share the
servers, as the services of one team do. What the drills refuse is reached through proxies from the start.
"""

import asyncio
import json
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import httpx
import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.arms.ports import free_ports
from lab.drills.environments.running_service import SERVICE_DRILLS, DebugDrill, Observed, run_on_service
from lab.drills.faults.debug_endpoint import DebugEndpoint
from lab.drills.faults.proxy import Proxy
from lab.drills.faults.telemetry import CollectorStub
from lab.drills.run.executable import executable_path
from lab.drills.run.outcome import Outcome
from lab.drills.run.process import Process
from lab.receiver.app import create_receiver
from lab.receiver.inbox import Inbox, ReceivedNotification
from prometheus.slo import load
from tests.polling import eventually
from tests.servers import proxy
from tests.servers.asgi import serving

ROOT: Final = Path(__file__).parents[3]
COMMANDS: Final = re.findall(r"^flightdeck (kit .*)$", (ROOT / "docs/kit.md").read_text("utf-8"), re.MULTILINE)
EVERYDAY_S: Final = 12
"""Twelve minutes of the rules: more than two of their shortest window and of what most alerts wait for."""
WINDOW_S: Final = 60.0
"""The long window of the alert with the fastest burn, an hour of the rules."""
PAUSE_S: Final = 0.03


@dataclass(frozen=True, kw_only=True)
class Application:
    job: str
    alert_prefix: str
    factory: str
    everyday: tuple[tuple[str, str, Any], ...]
    """Method, path and body of each kind of request."""
    failing: str
    """The path on which it has a bug."""
    may_be_empty: tuple[str, ...]
    """The panels about events that everyday traffic need not have, and about what its cache does not measure."""


LEDGER: Final = Application(
    job="finance/ledger",
    alert_prefix="FinanceLedger",
    factory="tests.examples.ledger:create_app",
    everyday=(
        ("GET", "/v2/accounts", None),
        ("GET", "/v2/accounts/7", None),
        ("GET", "/v2/accounts/7/interest?days=30", None),
        ("POST", "/v2/accounts/7/bookings?cents=5", None),
        ("GET", "/v2/accounts/99", None),
    ),
    failing="/v2/accounts/7/interest?days=0",
    may_be_empty=("Async and background, panel Blocking routes", "Database, panel Repeated statements"),
)
GEOCODER: Final = Application(
    job="geocoder",
    alert_prefix="Geocoder",
    factory="tests.examples.geocoder:create_app",
    everyday=(
        ("GET", "/search?name=JFK", None),
        ("GET", "/nearest/40.6/-73.8", None),
        ("POST", "/batches", ["JFK", "LGA"]),
        ("GET", "/no/such/route", None),
    ),
    failing="/search?name=",
    may_be_empty=(
        "Advice, panel CPU share of blocking steps",
        "Advice, panel How long other requests wait, by blocking route",
        "Advice, panel Rows per response",
        "Advice, panel Statements that a cache in the process would save",
        "Async and background, panel Blocking routes",
        "Caching, panel Cache entries",
        "Caching, panel Cache memory",
        "Caching, panel Coalesced lookups per computation",
        "Caching, panel Invalidations",
    ),
)
APPLICATIONS: Final = (LEDGER, GEOCODER)
SECOND: Final = "the second process of the ledger"
of_each = pytest.mark.parametrize("application", APPLICATIONS, ids=lambda one: one.job)


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """The applications under everyday traffic, with what monitors them."""

    prometheus: str
    receiver: str
    inbox: Inbox
    urls: dict[str, str]
    folders: dict[str, Path]
    """Of each job, with its `slo.toml` and its kit in `monitoring`."""
    proxies: dict[str, proxy.Proxy]
    """In front of the metrics of each job, of the ledger's second process, of the gazetteer that the geocoder calls, of
    the ledger's collector."""

    def query(self, expression: str) -> list[dict[str, Any]]:
        response = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression}).raise_for_status()
        result: list[dict[str, Any]] = response.json()["data"]["result"]
        return result

    def notifications(self, job: str, receiver: str = "page") -> list[ReceivedNotification]:
        received = list(self.inbox.notifications)
        return [one for one in received if one.receiver == receiver and _job(one) == job]


def _job(received: ReceivedNotification) -> str:
    return received.notification.alerts[0].labels["job"]


@contextmanager
def requesting(url: str, requests: Sequence[tuple[str, str, Any]]) -> Iterator[None]:
    """Send the requests in a cycle during the block."""
    stopped = Event()

    def send() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not stopped.is_set():
                for method, path, body in requests:
                    client.request(method, path, json=body)
                    time.sleep(PAUSE_S)

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def flightdeck(folder: Path, start: str, changes: Mapping[str, str]) -> str:
    """Run the first command of the page that begins so, in the folder and with other values; return what it prints."""
    command = next(one for one in COMMANDS if one.startswith(start))
    for shown, used in changes.items():
        assert shown in command
        command = command.replace(shown, used)
    with chdir(folder):
        done = CliRunner().invoke(app, shlex.split(command))
    assert done.exit_code == 0, done.output
    return done.stdout


@contextmanager
def running(runner: asyncio.Runner, process: Process) -> Iterator[None]:
    runner.run(process.start())
    try:
        yield
    finally:
        runner.run(process.stop())


def gazetteer() -> Starlette:
    """Return the server that the geocoder calls."""

    async def places(request: Request) -> JSONResponse:
        return JSONResponse({**request.query_params, "latitude": 40.6, "longitude": -73.8})

    return Starlette(routes=[Route("/places", places)])


@contextmanager
def collector() -> Iterator[int]:
    """Yield the port of a collector."""
    (port,) = free_ports(1)
    server = CollectorStub(port)
    server.start()
    try:
        yield port
    finally:
        server.stop()


@contextmanager
def proxied() -> Iterator[dict[str, proxy.Proxy]]:
    """Yield the proxies by what they are in front of; those of metrics by the job."""
    *ports, metrics_of_ledger, metrics_of_second, metrics_of_geocoder = free_ports(8)
    with ExitStack() as stack:
        gazetteer_port = int(stack.enter_context(serving(gazetteer())).rpartition(":")[2])
        targets = {
            "gazetteer": gazetteer_port,
            "collector": stack.enter_context(collector()),
            LEDGER.job: metrics_of_ledger,
            SECOND: metrics_of_second,
            GEOCODER.job: metrics_of_geocoder,
        }
        yield {
            name: stack.enter_context(proxy.proxying(target, port=port))
            for (name, target), port in zip(targets.items(), ports, strict=True)
        }


def application_process(
    application: Application, port: int, proxies: Mapping[str, proxy.Proxy], directory: Path, *, metrics: str = ""
) -> Process:
    """Return the process, whose metrics are behind the proxy of this name, by default that of its job."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT), "--log-level", "warning", "--factory"]
    return Process(
        application.job,
        [*command, application.factory, "--port", str(port)],
        ready_url=f"http://127.0.0.1:{port}{application.everyday[0][1]}",
        environment={
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(proxies[metrics or application.job].target_port),
            "OTEL_EXPORTER_OTLP_ENDPOINT": _url(proxies["collector"]) if application == LEDGER else "",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "GAZETTEER_URL": _url(proxies["gazetteer"]),
            "OBSERVABILITY_ACCESS_LOG": "false",
            "OBSERVABILITY_FAULTS": "true",
        },
        directory=directory,
    )


def _url(one: proxy.Proxy) -> str:
    return f"http://127.0.0.1:{one.port}"


def write_kit(application: Application, folder: Path, *, targets: Sequence[str], receiver: str) -> None:
    """Run the commands of the page for the processes with these addresses, and set the links."""
    slo = folder / "slo.toml"
    options = " ".join([f"--job {application.job}", *(f"--target {one}" for one in targets)])
    changes = {"http://localhost:9464/metrics": f"http://{targets[0]}/metrics", "--job shop": options}
    flightdeck(folder, "kit init", changes)
    slo.write_text(slo.read_text("utf-8").replace("http://localhost:9095", receiver), "utf-8")
    flightdeck(folder, "kit build", {"kit build": "kit build --accelerated"})


def prometheus_config(kits: Sequence[Path], *, own: str, alertmanager: str) -> dict[str, Any]:
    """Return the first kit's configuration with the rules and targets of all, and the addresses of the servers."""
    texts = [(kit / "prometheus/prometheus.yml").read_text("utf-8") for kit in kits]
    texts = [one.replace("localhost:9090", own).replace("alertmanager:9093", alertmanager) for one in texts]
    documents = [yaml.safe_load(text) for text in texts]
    rules = zip(kits, documents, strict=True)
    merged: dict[str, Any] = documents[0]
    merged["rule_files"] = [str(kit / "prometheus" / one) for kit, document in rules for one in document["rule_files"]]
    jobs = {one["job_name"]: one for document in documents for one in document["scrape_configs"]}
    return merged | {"scrape_configs": list(jobs.values())}


def alertmanager_config(kits: Sequence[Path]) -> dict[str, Any]:
    """Return the first kit's configuration with the inhibitions of all."""
    merged, *others = (yaml.safe_load((kit / "alertmanager/alertmanager.yml").read_text("utf-8")) for kit in kits)
    merged["templates"] = [str(kits[0] / "alertmanager/templates/*.tmpl")]
    merged["inhibit_rules"] += [rule for one in others for rule in one["inhibit_rules"]]
    return dict(merged)


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    directory = tmp_path_factory.mktemp("third-party")
    folders = {one.job: directory / one.alert_prefix for one in APPLICATIONS}
    kits = [folder / "monitoring" for folder in folders.values()]
    own, alertmanager, port_of_second, *ports = free_ports(3 + len(APPLICATIONS))
    addresses = {"own": f"127.0.0.1:{own}", "alertmanager": f"127.0.0.1:{alertmanager}"}
    inbox, urls = Inbox(), {}
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        receiver = stack.enter_context(serving(create_receiver(inbox, runbooks=kits[0] / "runbooks")))
        proxies = stack.enter_context(proxied())
        second = directory / "second"
        second.mkdir()
        process = application_process(LEDGER, port_of_second, proxies, second, metrics=SECOND)
        stack.enter_context(running(runner, process))
        for application, port in zip(APPLICATIONS, ports, strict=True):
            folder = folders[application.job]
            folder.mkdir()
            process = application_process(application, port, proxies, folder)
            stack.enter_context(running(runner, process))
            urls[application.job] = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=urls[application.job]) as client:
                for method, path, body in application.everyday * 60:
                    client.request(method, path, json=body)
            behind = [application.job, *([SECOND] if application == LEDGER else [])]
            targets = [f"127.0.0.1:{proxies[one].port}" for one in behind]
            write_kit(application, folder, targets=targets, receiver=receiver)
        config = prometheus_config(kits, **addresses)
        # Prometheus scrapes its targets within five seconds of its start, which are five minutes of the rules.
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config | {"rule_files": []}), "utf-8")
        (directory / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager_config(kits)), "utf-8")
        for process in (_alertmanager(directory, alertmanager), _prometheus(directory, own)):
            stack.enter_context(running(runner, process))
        for application in APPLICATIONS:
            stack.enter_context(requesting(urls[application.job], application.everyday))
        monitored = Monitored(
            prometheus=f"http://{addresses['own']}",
            receiver=receiver,
            inbox=inbox,
            urls=urls,
            folders=folders,
            proxies=proxies,
        )
        processes = len(config["scrape_configs"]) + 1  # the ledger has two
        eventually(lambda: len(monitored.query("up == 1")) == processes, within_s=60)
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
        httpx.post(f"{monitored.prometheus}/-/reload").raise_for_status()
        yield monitored


def _prometheus(directory: Path, port: int) -> Process:
    return Process(
        "Prometheus",
        [
            executable_path("prometheus", package="prometheus"),
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'prometheus-data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--rules.alert.resend-delay=1s",
            "--web.enable-lifecycle",
            "--log.level=warn",
        ],
        ready_url=f"http://127.0.0.1:{port}/-/ready",
    )


def _alertmanager(directory: Path, port: int) -> Process:
    return Process(
        "Alertmanager",
        [
            executable_path("prometheus-alertmanager", package="prometheus-alertmanager"),
            f"--config.file={directory / 'alertmanager.yml'}",
            f"--storage.path={directory / 'alertmanager-data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ],
        ready_url=f"http://127.0.0.1:{port}/-/ready",
    )


def test_no_alert_fires_on_everyday_traffic(monitored: Monitored) -> None:
    evaluated = f'count_over_time(ALERTS{{alertstate="firing", severity="none"}}[10m]) >= {EVERYDAY_S}'
    eventually(lambda: len(monitored.query(evaluated)) == len(APPLICATIONS), within_s=4 * EVERYDAY_S)
    fired = monitored.query('count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[10m]))')
    heartbeats = {f"{one.alert_prefix}Watchdog" for one in APPLICATIONS}
    assert {one["metric"]["alertname"] for one in fired} == heartbeats
    assert list(monitored.inbox.notifications) == []
    assert monitored.inbox.heartbeat_at is not None


@of_each
def test_every_query_has_data_or_a_reason(monitored: Monitored, application: Application) -> None:
    def checked() -> dict[str, Any]:
        changes = {"http://localhost:9090": monitored.prometheus, "--grafana http://localhost:3000": "--json"}
        report: dict[str, Any] = json.loads(flightdeck(monitored.folders[application.job], "kit check", changes))
        return report

    report = checked()
    assert report["checked"] > 100
    assert report["panels"] > 5 * len(application.may_be_empty)
    silent = {one["text"] for one in report["findings"] if one["where"].startswith("board ")}
    reasons = ("nothing has been counted in", "its condition holds for no series now", "the service has no")
    assert {text for text in silent if not text.startswith(reasons)} == set()

    def others_have_data(report: dict[str, Any]) -> bool:
        empty = {one["where"] for one in report["findings"] if one["kind"] == "empty panel"}
        return empty <= {f"board {panel}" for panel in application.may_be_empty}

    # A scrape may come late on a busy machine.
    eventually(lambda: others_have_data(report) or others_have_data(checked()), within_s=60)


@of_each
def test_a_burst_of_errors_pages_within_its_window(monitored: Monitored, application: Application) -> None:
    quiet = {one.job for one in APPLICATIONS if not monitored.notifications(one.job)}
    with requesting(monitored.urls[application.job], [("GET", application.failing, None)]):
        eventually(lambda: monitored.notifications(application.job), within_s=WINDOW_S)
    [alert] = monitored.notifications(application.job)[0].notification.alerts
    assert alert.name == f"{application.alert_prefix}AvailabilityBudgetBurn"
    assert (alert.labels["severity"], alert.labels["window"], alert.labels["group"]) == ("critical", "1h", "reads")
    assert httpx.get(alert.annotations.runbook_url).status_code == 200
    assert {job for job in quiet if monitored.notifications(job)} == {application.job}, "pages of another service"


def test_the_pages_resolve_when_the_errors_have_ended(monitored: Monitored) -> None:
    def resolved(job: str) -> bool:
        alerts = (alert for one in monitored.notifications(job) for alert in one.notification.alerts)
        return any(alert.status == "resolved" and alert.labels["window"] == "1h" for alert in alerts)

    # When the last of the errors leaves the window depends on when they came.
    eventually(lambda: all(resolved(one.job) for one in APPLICATIONS), within_s=4 * WINDOW_S)


@contextmanager
def replaced(one: proxy.Proxy) -> Iterator[tuple[str, str]]:
    """Yield where the drill's proxy listens instead of this one, and where it forwards."""
    one.stop()
    try:
        yield f"127.0.0.1:{one.port}", f"127.0.0.1:{one.target_port}"
    finally:
        one.restore()


def test_a_drill_of_the_page_sees_the_alert_delivered_and_resolved(monitored: Monitored) -> None:
    requested = f"{monitored.urls[GEOCODER.job]}/openapi.json"
    with replaced(monitored.proxies[GEOCODER.job]) as (listen, forward):
        changes = {
            "localhost:9465": listen,
            "localhost:9464": forward,
            "http://localhost:9090": monitored.prometheus,
            "--receiver http://localhost:9095": f"--receiver {monitored.receiver} --request {requested} --json",
        }
        outcome = json.loads(flightdeck(monitored.folders[GEOCODER.job], "kit drill", changes))
    [alert] = outcome["alerts"]
    assert alert["alert"] == "GeocoderServiceDown"
    assert 0 < alert["firing_s"] <= alert["delivered_s"]
    assert 0 < alert["resolved_s"] <= alert["resolution_delivered_s"]
    assert 'handler="/openapi.json"' in httpx.get(f"{_url(monitored.proxies[GEOCODER.job])}/metrics").text


@pytest.mark.anyio
async def test_drills_refuse_what_the_services_need(monitored: Monitored) -> None:
    """All at once, as each waits most of the time."""

    async def outcome(
        application: Application, name: str, behind: str, *, receiver: str | None, requests: Sequence[str] = ()
    ) -> Outcome:
        one = monitored.proxies[behind]
        with replaced(one):
            return await run_on_service(
                SERVICE_DRILLS[name],
                load(monitored.folders[application.job] / "slo.toml"),
                fault=Proxy(("127.0.0.1", one.port), ("127.0.0.1", one.target_port)),
                observed=Observed(prometheus=monitored.prometheus, receiver=receiver, requests=requests),
                log=print,
            )

    request = f"{monitored.urls[GEOCODER.job]}/nearest/1/2"
    outcomes = await asyncio.gather(
        outcome(LEDGER, "collector-down", "collector", receiver=monitored.receiver),
        outcome(GEOCODER, "error-burst", "gazetteer", receiver=monitored.receiver, requests=[request]),
        outcome(LEDGER, "target-down", SECOND, receiver=None),
    )
    assert [(one.failure, [alert.alert for alert in one.alerts]) for one in outcomes] == [
        ("", ["FinanceLedgerTelemetryDropped"]),
        ("", ["GeocoderAvailabilityBudgetBurn 1h"]),
        ("", ["FinanceLedgerTargetDown"]),
    ]
    *delivered, fired = [alert for one in outcomes for alert in one.alerts]
    assert all(alert.resolution_delivered_s for alert in delivered)
    assert (fired.delivered_s, fired.resolution_delivered_s) == (None, None), "without a receiver"
    assert (fired.firing_s or 0) > 0
    assert (fired.resolved_s or 0) > 0


@pytest.mark.anyio
async def test_drills_of_the_debug_endpoint_name_the_route_and_the_pool(monitored: Monitored) -> None:
    """Both at once, as each waits most of the time."""

    async def outcome(application: Application, name: str) -> Outcome:
        drill = SERVICE_DRILLS[name]
        assert isinstance(drill, DebugDrill)
        metrics = _url(monitored.proxies[application.job])
        return await run_on_service(
            drill,
            load(monitored.folders[application.job] / "slo.toml"),
            fault=DebugEndpoint(metrics, drill.fault, seconds=drill.seconds, pause_s=drill.pause_s),
            observed=Observed(prometheus=monitored.prometheus, receiver=monitored.receiver),
            log=print,
        )

    outcomes = await asyncio.gather(outcome(GEOCODER, "loop-blocked"), outcome(LEDGER, "pool-exhausted"))
    assert [one.failure for one in outcomes] == ["", ""]
    blocked, exhausted = (alert for one in outcomes for alert in one.alerts)
    assert blocked.alert == "GeocoderEventLoopBlocked"
    notified = [alert for one in monitored.notifications(GEOCODER.job, "ticket") for alert in one.notification.alerts]
    assert "/debug/faults/event-loop" in {one.labels["handler"] for one in notified if one.name == blocked.alert}
    assert exhausted.alert == "FinanceLedgerPoolExhausted"
    assert exhausted.notification["labels"]["db_client_connection_pool_name"] == "books"
    assert "held most by /debug/faults/pool" in exhausted.notification["annotations"]["description"]
    assert blocked.resolution_delivered_s
    assert exhausted.resolution_delivered_s
