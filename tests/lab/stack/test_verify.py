"""`verify` reports each fault, waits for servers that are starting, and passes nothing without evidence."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.stack.addresses import Addresses, MissingPort, env_file
from lab.stack.check import CheckResult
from lab.stack.signals import is_address
from lab.stack.verify import all_checks, print_results, verify
from tests.deploy.stack_files import environment
from tests.lab.stack.fake_stack import FAILED, READ, Stack, constant, fake_stack

DASHBOARDS = frozenset({"flightdeck-start", "flightdeck-trace"})
TEMPO = "/api/datasources/proxy/uid/tempo/api/v2/traces"
LOKI = "/api/datasources/proxy/uid/loki/loki/api/v1/query_range"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with fake_stack(DASHBOARDS) as stack:
        yield stack


def results_of(stack: Stack, *, wait_s: float = 0.0, addresses: Addresses | None = None) -> list[CheckResult]:
    return list(verify(addresses or stack.addresses, dashboards=DASHBOARDS, wait_s=wait_s, pause=lambda _: None))


def failed(results: list[CheckResult]) -> list[tuple[str, str]]:
    return [(result.service, result.description) for result in results if not result.ok]


def test_a_healthy_stack_passes_every_check(stack: Stack) -> None:
    results = results_of(stack)
    assert failed(results) == []
    assert len(results) == len(all_checks())
    assert {result.fix for result in results} == {""}
    assert ("baseline", "/error") in stack.requests
    assert ("grafana", f"{TEMPO}/{FAILED}") in stack.requests


def _change(service: str, path: str, body: Any, status: int = 200) -> Callable[[Stack], None]:
    return lambda stack: stack.responses.update({(service, path): constant(body, status)})


DOWN = {"data": {"activeTargets": [{"labels": {"job": "tempo"}, "scrapeUrl": "http://tempo", "health": "down"}]}}
ADDRESS = {"metric": {"client": "flightdeck-pooling", "server": "172.18.0.7"}, "value": [1, "7"]}
NO_VALUE: dict[str, Any] = {"data": {"result": []}}


@pytest.mark.parametrize(
    ("change", "service", "description", "message"),
    [
        (_change("pooling", "/readyz", "no database", 503), "pooling", "responds", "503: no database"),
        (_change("prometheus", "/api/v1/targets", DOWN), "prometheus", "reaches every target", "tempo (http://tempo)"),
        (
            _change("prometheus", "/api/v1/targets", {"data": {"activeTargets": []}}),
            "prometheus",
            "reaches every target",
            "no targets",
        ),
        (
            _change("prometheus", "/api/v1/rules", {"data": {"groups": []}}),
            "prometheus",
            "evaluates every rule",
            "no rules",
        ),
        (
            _change(
                "prometheus", "/api/v1/rules", {"data": {"groups": [{"rules": [{"name": "SlowOne", "health": "err"}]}]}}
            ),
            "prometheus",
            "evaluates every rule",
            "SlowOne",
        ),
        (_change("alertmanager", "/api/v2/alerts", []), "alertmanager", "receives alerts from Prometheus", "Watchdog"),
        (
            _change("grafana", "/api/datasources/uid/loki/health", {"status": "ERROR", "message": "no such host"}),
            "grafana",
            "reads from loki",
            "no such host",
        ),
        (
            _change("grafana", "/api/search", [{"uid": "flightdeck-start"}]),
            "grafana",
            "has every dashboard",
            "flightdeck-trace",
        ),
        (
            _change("prometheus", "/api/v1/query_exemplars", {"data": [{"exemplars": [{"labels": {}}]}]}),
            "prometheus",
            "links latencies to traces",
            "no latency",
        ),
        (
            _change("grafana", f"{TEMPO}/{READ}", {"trace": {"resourceSpans": []}}),
            "tempo",
            "has the trace of a request",
            READ,
        ),
        (
            _change("grafana", f"{TEMPO}/{FAILED}", "trace not found", 404),
            "tempo",
            "has the trace of a failed request",
            "404",
        ),
        (
            _change("grafana", LOKI, {"data": {"result": []}}),
            "loki",
            "has log lines of the same trace",
            READ,
        ),
        (
            _change("otlp", "/v1/metrics", "no pipeline", 404),
            "collector",
            "passes metrics over OTLP on to Prometheus",
            "404: no pipeline",
        ),
        (
            _change("prometheus", "/api/v1/query", {"data": {"result": [ADDRESS]}}),
            "tempo",
            "names the nodes of the service graph",
            "172.18.0.7",
        ),
        (_change("receiver", "/runbooks/pool-exhausted", "", 404), "receiver", "serves runbooks", "404"),
        (_change("bugsink", "/health/ready", "<html>", 502), "bugsink", "responds", "502"),
        (_change("grafana", "/api/search", "<html>"), "grafana", "has every dashboard", "<html>"),
        (
            _change("alertmanager", "/api/v2/alerts", {"alerts": []}),
            "alertmanager",
            "receives alerts from Prometheus",
            "unknown format",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_one_fault_fails_one_check_and_names_the_fix(
    stack: Stack, change: Callable[[Stack], None], service: str, description: str, message: str
) -> None:
    change(stack)
    results = results_of(stack)
    assert failed(results) == [(service, description)]
    [result] = [one for one in results if not one.ok]
    assert message in result.message
    assert result.fix


def test_missing_metrics_fail_the_checks_of_their_sources(stack: Stack) -> None:
    stack.responses["prometheus", "/api/v1/query"] = constant(NO_VALUE)
    assert {service for service, _ in failed(results_of(stack))} == {"collector", "tempo", "node-exporter", "bugsink"}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("127.0.0.1", True),
        ("10.0.0.2:5432", True),
        ("[::1]:80", True),
        ("::1", True),
        ("postgres:5432", False),
        ("user", False),
    ],
)
def test_a_node_is_an_address_or_a_name(name: str, is_one: bool) -> None:
    assert is_address(name) is is_one


def test_a_server_that_is_starting_is_waited_for(stack: Stack) -> None:
    stack.fail_first(3, "grafana", "/api/health")
    stack.fail_first(2, "grafana", f"{TEMPO}/{READ}")
    assert failed(results_of(stack, wait_s=30)) == []
    assert stack.requests.count(("grafana", "/api/health")) == 4


def test_a_check_fails_at_once_when_the_time_is_over(stack: Stack) -> None:
    stack.fail_first(3, "grafana", "/api/health")
    assert failed(results_of(stack)) == [("grafana", "responds")]


def test_without_a_trace_id_the_checks_of_traces_fail(stack: Stack) -> None:
    stack.responses["baseline", "/airports/JFK/departures"] = constant({})
    stack.responses["baseline", "/error"] = constant({}, 500)
    descriptions = [description for _, description in failed(results_of(stack))]
    assert descriptions == [
        "has the trace of a request",
        "has the trace of a failed request",
        "has log lines of the same trace",
    ]


def test_a_stopped_stack_fails_every_check() -> None:
    with fake_stack(DASHBOARDS) as stopped:
        addresses = stopped.addresses
    results = list(verify(addresses, dashboards=DASHBOARDS, wait_s=0, pause=lambda _: None))
    assert len(failed(results)) == len(all_checks())
    console = Console(record=True, width=80)
    print_results(results, console)
    assert "`make up` starts it" in console.export_text()


def test_the_profile_core_skips_the_checks_of_services_it_lacks(stack: Stack) -> None:
    stack.responses.pop(("bugsink", "/health/ready"))
    stack.responses["prometheus", "/api/v1/query"] = constant(NO_VALUE)
    results = results_of(stack, addresses=replace(stack.addresses, is_full_stack=False))
    assert failed(results) == []
    assert {result.service for result in results}.isdisjoint({"tempo", "loki", "collector", "bugsink"})


def test_the_table_ends_with_the_fix_of_each_failed_check(stack: Stack) -> None:
    stack.responses["pooling", "/readyz"] = constant("[no] database", 503)
    console = Console(record=True, width=200)
    print_results(results_of(stack), console)
    text = console.export_text()
    marks = [line.split()[:2] for line in text.splitlines() if line.startswith(("passed", "failed"))]
    assert marks.count(["failed", "pooling"]) == 1
    assert sum(mark == "passed" for mark, _ in marks) == len(all_checks()) - 1
    assert "[no] database" in text
    assert "1 failed" in text
    assert "pooling responds → docker compose logs pooling" in text


def test_the_addresses_come_from_the_env_file_of_compose(tmp_path: Path) -> None:
    addresses = Addresses.of(environment())
    assert addresses["grafana"] == f"http://127.0.0.1:{environment()['GRAFANA_PORT']}"
    assert addresses.is_full_stack
    assert not Addresses.of({**environment(), "COMPOSE_PROFILES": "core"}).is_full_stack
    assert env_file(tmp_path / "missing") == {}
    with pytest.raises(MissingPort, match=r"GRAFANA_PORT.*\.env"):
        Addresses.of({**environment(), "GRAFANA_PORT": ""})
