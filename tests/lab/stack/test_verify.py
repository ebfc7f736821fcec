"""The verification finds what is wrong, waits for what is starting, and believes nothing that it has not seen."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.stack.addresses import Addresses, NoPort, env_file
from lab.stack.check import Finding
from lab.stack.table import print_findings
from lab.stack.verify import every_check, verify
from tests.deploy.stack_files import environment
from tests.lab.stack.pretended import FAILED, READ, Stack, pretending, said

BOARDS = frozenset({"flightdeck-start", "flightdeck-trace"})
TEMPO = "/api/datasources/proxy/uid/tempo/api/v2/traces"
LOKI = "/api/datasources/proxy/uid/loki/loki/api/v1/query_range"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with pretending(BOARDS) as pretended:
        yield pretended


def found(stack: Stack, *, wait_s: float = 0.0, at: Addresses | None = None) -> list[Finding]:
    return list(verify(at or stack.at, boards=BOARDS, wait_s=wait_s, pause=lambda _: None))


def wrong(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.part, finding.claim) for finding in findings if not finding.ok]


def test_a_whole_stack_has_nothing_wrong(stack: Stack) -> None:
    findings = found(stack)
    assert wrong(findings) == []
    assert len(findings) == len(every_check())
    assert {finding.fix for finding in findings} == {""}
    assert ("baseline", "/error") in stack.asked
    assert ("grafana", f"{TEMPO}/{FAILED}") in stack.asked


def _change(part: str, path: str, body: Any, status: int = 200) -> Callable[[Stack], None]:
    return lambda stack: stack.answers.update({(part, path): said(body, status)})


DOWN = {"data": {"activeTargets": [{"labels": {"job": "tempo"}, "scrapeUrl": "http://tempo", "health": "down"}]}}
NO_VALUE: dict[str, Any] = {"data": {"result": []}}


@pytest.mark.parametrize(
    ("change", "part", "claim", "seen"),
    [
        (_change("pooling", "/readyz", "no database", 503), "pooling", "answers", "503: no database"),
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
        (_change("alertmanager", "/api/v2/alerts", []), "alertmanager", "hears from Prometheus", "Watchdog"),
        (
            _change("grafana", "/api/datasources/uid/loki/health", {"status": "ERROR", "message": "no such host"}),
            "grafana",
            "reads from loki",
            "no such host",
        ),
        (
            _change("grafana", "/api/search", [{"uid": "flightdeck-start"}]),
            "grafana",
            "has every board",
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
        (_change("receiver", "/runbooks/pool-exhausted", "", 404), "receiver", "shows runbooks", "404"),
        (_change("bugsink", "/health/ready", "<html>", 502), "bugsink", "answers", "502"),
        (_change("grafana", "/api/search", "<html>"), "grafana", "has every board", "<html>"),
        (_change("alertmanager", "/api/v2/alerts", {"alerts": []}), "alertmanager", "hears from Prometheus", "form"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_one_fault_is_one_finding_that_says_what_to_do(
    stack: Stack, change: Callable[[Stack], None], part: str, claim: str, seen: str
) -> None:
    change(stack)
    findings = found(stack)
    assert wrong(findings) == [(part, claim)]
    [finding] = [one for one in findings if not one.ok]
    assert seen in finding.seen
    assert finding.fix


def test_metrics_that_nobody_makes_are_missed(stack: Stack) -> None:
    stack.answers["prometheus", "/api/v1/query"] = said(NO_VALUE)
    assert {part for part, _ in wrong(found(stack))} == {"collector", "tempo", "bugsink"}


def test_what_is_starting_is_waited_for(stack: Stack) -> None:
    stack.after(3, "grafana", "/api/health")
    stack.after(2, "grafana", f"{TEMPO}/{READ}")
    assert wrong(found(stack, wait_s=30)) == []
    assert stack.asked.count(("grafana", "/api/health")) == 4


def test_nothing_is_waited_for_once_the_time_is_over(stack: Stack) -> None:
    stack.after(3, "grafana", "/api/health")
    assert wrong(found(stack)) == [("grafana", "answers")]


def test_a_trace_is_not_believed_without_a_request(stack: Stack) -> None:
    stack.answers["baseline", "/airports/JFK/departures"] = said({})
    stack.answers["baseline", "/error"] = said({}, 500)
    claims = [claim for _, claim in wrong(found(stack))]
    assert claims == [
        "has the trace of a request",
        "has the trace of a failed request",
        "has log lines of the same trace",
    ]


def test_a_stack_that_is_not_there_is_no_crash() -> None:
    with pretending(BOARDS) as gone:
        at = gone.at
    findings = list(verify(at, boards=BOARDS, wait_s=0, pause=lambda _: None))
    assert len(wrong(findings)) == len(every_check())
    console = Console(record=True, width=80)
    print_findings(findings, console)
    assert "make up starts the stack" in console.export_text()


def test_the_profile_core_is_not_asked_for_what_it_lacks(stack: Stack) -> None:
    stack.answers.pop(("bugsink", "/health/ready"))
    stack.answers["prometheus", "/api/v1/query"] = said(NO_VALUE)
    findings = found(stack, at=replace(stack.at, everything_runs=False))
    assert wrong(findings) == []
    assert {finding.part for finding in findings}.isdisjoint({"tempo", "loki", "collector", "bugsink"})


def test_the_table_says_what_to_do_about_what_is_wrong(stack: Stack) -> None:
    stack.answers["pooling", "/readyz"] = said("[no] database", 503)
    console = Console(record=True, width=200)
    print_findings(found(stack), console)
    text = console.export_text()
    assert "WRONG" in text
    assert "[no] database" in text
    assert "1 wrong" in text
    assert "pooling answers → docker compose logs pooling" in text


def test_the_addresses_are_those_of_the_compose_file(tmp_path: Path) -> None:
    at = Addresses.of(environment())
    assert at["grafana"] == f"http://127.0.0.1:{environment()['GRAFANA_PORT']}"
    assert at.everything_runs
    assert not Addresses.of({**environment(), "COMPOSE_PROFILES": "core"}).everything_runs
    assert env_file(tmp_path / "missing") == {}
    with pytest.raises(NoPort, match=r"GRAFANA_PORT.*\.env"):
        Addresses.of({**environment(), "GRAFANA_PORT": ""})
