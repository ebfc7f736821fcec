"""Every alert has what its reader needs: annotations, a board, a runbook with valid queries, a drill."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lab.drills.catalogue import DRILLS
from prometheus import runbooks
from prometheus.catalogue import alert_files, every_alert
from prometheus.duration import REAL, seconds
from prometheus.generated import ROOT
from prometheus.rule import Alert
from prometheus.scope import Scope
from prometheus.slo import load
from tests.each import each

ALERTS = list(every_alert(load()))
NAMES = sorted({alert.name for alert in ALERTS})
RUNBOOKS = ROOT / "docs/runbooks"
SECTIONS = ["Meaning", "Impact", "Queries to run", "Likely causes, in order", "What to do", "How to know it is over"]
BOARDS = {
    board["uid"]: {variable["name"] for variable in board.get("templating", {}).get("list", [])}
    for board in (json.loads(path.read_text("utf-8")) for path in (ROOT / "grafana/dashboards").glob("*.json"))
}
"""The variables of each board, by its uid."""


def described(alert: Alert) -> str:
    return " ".join([alert.name, *alert.labels.values()])


def runbook(name: str) -> Path:
    return RUNBOOKS / f"{next(alert for alert in ALERTS if alert.name == name).runbook}.md"


def queries(page: Path) -> list[str]:
    return runbooks.queries(page.read_text("utf-8"))


@each("alert", lambda: ALERTS, ids=described)
def test_an_alert_has_labels_and_annotations(alert: Alert) -> None:
    rule = alert.mapping(REAL, Scope(load()))
    assert rule["labels"]["severity"] in {"critical", "warning", "none"}
    assert rule["labels"]["owner"] in {"service", "platform", "monitoring"}
    assert seconds(rule["for"]) > 0 or alert.severity == "none"
    assert "$value" in rule["annotations"]["description"]
    assert "[" not in rule["annotations"]["description"]
    assert len(rule["annotations"]["summary"]) < 120
    assert "\n" not in rule["annotations"]["summary"] + rule["annotations"]["description"]


@each("alert", lambda: ALERTS, ids=described)
def test_an_alert_links_to_an_existing_board_and_its_variables(alert: Alert) -> None:
    uid, _, query = alert.dashboard.partition("?")
    variables = {one.partition("=")[0].removeprefix("var-") for one in query.split("&") if one}
    assert uid in BOARDS
    assert variables <= BOARDS[uid]


@each("alert", lambda: ALERTS, ids=described)
def test_an_alert_has_a_drill_or_an_exemption(alert: Alert) -> None:
    assert bool(alert.drill) != bool(alert.drill_exemption)
    if alert.drill:
        assert alert.name in {seen.split()[0] for seen in DRILLS[alert.drill].alerts}


@each("drill", DRILLS.values, ids=lambda drill: drill.name)
def test_a_drill_waits_for_alerts_that_exist(drill: object) -> None:
    expected = DRILLS[drill.name].alerts  # type: ignore[attr-defined]  # the parameter is a drill
    known = {f"{alert.name} {alert.labels.get('window', '')}".strip() for alert in ALERTS}
    assert set(expected) <= known


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_has_every_section_in_order(name: str) -> None:
    text = runbook(name).read_text("utf-8")
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert len(list(queries(runbook(name)))) == 3


def test_there_is_no_runbook_without_an_alert() -> None:
    assert {page.name for page in RUNBOOKS.glob("*.md")} == {runbook(name).name for name in NAMES}


def test_links_of_runbooks_lead_to_existing_pages() -> None:
    broken = [
        (page.name, target)
        for page in RUNBOOKS.glob("*.md")
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8"))
        if not (RUNBOOKS / target.partition("#")[0]).exists()
    ]
    assert broken == []


def test_every_query_of_a_runbook_is_valid(promtool: Callable[..., str], tmp_path: Path) -> None:
    rules = [
        {"record": f"runbook:{page.stem.replace('-', '_')}:{number}", "expr": query}
        for page in sorted(RUNBOOKS.glob("*.md"))
        for number, query in enumerate(queries(page))
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}), "utf-8")
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", path)


def test_symptoms_are_critical_and_causes_are_warnings() -> None:
    pages = {alert.name for alert in ALERTS if alert.severity == "critical"}
    symptoms = {"AvailabilityBudgetBurn", "LatencyBudgetBurn", "ServiceDown", "ServiceMissing"}
    monitoring = {"PrometheusRuleFailures", "AlertsNotSent", "AlertmanagerMissing", "NotificationsFailing"}
    assert pages == symptoms | monitoring


def test_no_range_is_too_short_for_accelerated_rules() -> None:
    """Five seconds hold five scrapes; a minute on the real clock would leave one second, and no rate."""
    short = [
        (rule.name if isinstance(rule, Alert) else rule.record, window)
        for groups in alert_files(load()).values()
        for group in groups
        for rule in group.rules
        for window in re.findall(r"\[(\w+)", rule.expr)
        if seconds(window) < seconds("5m")
    ]
    assert short == []


def test_the_kept_table_has_every_drill_with_its_alerts() -> None:
    page = (ROOT / "docs/drills.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `([\w-]+)` \|.*?\| \[([\w ]+)\]\(runbooks/", page, re.MULTILINE))
    known = {(drill.name, alert) for drill in DRILLS.values() for alert in drill.alerts}
    assert rows == known, "run `make drills DRILLS='--report docs/drills.md'`"
