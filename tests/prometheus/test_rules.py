"""The rules under promtool: valid, and each alert silent before, firing, silent after, in real time and accelerated."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from prometheus.build import FOLDERS
from prometheus.build import rule_files as rule_groups
from prometheus.catalogue import every_alert
from prometheus.duration import ACCELERATED
from prometheus.generated import ROOT
from prometheus.rule import Recording
from prometheus.slo import load

TESTS = sorted((ROOT / "prometheus/tests").glob("*.yml"))
# Seconds of blocking cannot be accelerated; its drill covers the accelerated rule.
REAL_ONLY = "one route computes on the event loop for ten minutes"
WATCHDOG = "Watchdog"
MARK = re.compile(r"\[(\w+)\]")


def rule_files(folder: str) -> list[Path]:
    return sorted(path for kind in ("rules", "alerts") for path in (ROOT / folder / kind).glob("*.yml"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_prometheus_accepts_every_rule(promtool: Callable[..., str], folder: str) -> None:
    said = promtool("check", "rules", *rule_files(folder))
    assert said.count("SUCCESS") == len(rule_files(folder)) > 0


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(promtool: Callable[..., str], path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_accelerated_rules_fire_sixty_times_sooner(promtool: Callable[..., str], path: Path, tmp_path: Path) -> None:
    accelerated = tmp_path / path.name
    accelerated.write_text(yaml.safe_dump(sixty_times_faster(yaml.safe_load(path.read_text("utf-8")))), "utf-8")
    assert "SUCCESS" in promtool("test", "rules", accelerated)


def sixty_times_faster(document: dict[str, Any]) -> dict[str, Any]:
    """Return the test with every duration divided by sixty, against the accelerated rules."""
    rules = ROOT / "prometheus/accelerated"
    document["rule_files"] = [str(rules / name.removeprefix("../")) for name in document["rule_files"]]
    document["evaluation_interval"] = ACCELERATED.duration(document["evaluation_interval"])
    document["tests"] = [test for test in document["tests"] if test["name"] != REAL_ONLY]
    for test in document["tests"]:
        test["interval"] = ACCELERATED.duration(test["interval"])
        for check in [*test.get("alert_rule_test", []), *test.get("promql_expr_test", [])]:
            check["eval_time"] = ACCELERATED.duration(check["eval_time"])
            if "expr" in check:
                check["expr"] = ACCELERATED.expression(check["expr"])
            for expected in check.get("exp_alerts", []):
                expected["exp_annotations"]["description"] = accelerated_text(
                    check["alertname"], expected["exp_annotations"]["description"]
                )
    return document


def accelerated_text(alertname: str, description: str) -> str:
    """Return the expected text with the windows that the alert marks in its description on accelerated rules."""
    marked = {
        window for alert in every_alert(load()) if alert.name == alertname for window in MARK.findall(alert.description)
    }
    for window in marked:
        description = re.sub(rf"\b{window}\b", ACCELERATED.duration(window), description)
    return description


def test_every_alert_is_seen_silent_firing_and_silent_again() -> None:
    seen: dict[str, set[str]] = {}
    for path in TESTS:
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            fired: set[str] = set()
            for check in sorted(test.get("alert_rule_test", []), key=lambda one: minutes(one["eval_time"])):
                states = seen.setdefault(check["alertname"], set())
                if check["exp_alerts"]:
                    fired.add(check["alertname"])
                    states.add("firing")
                else:
                    states.add("after" if check["alertname"] in fired else "before")
    wanted = {"before", "firing", "after"}
    unproven = {
        alert.name: wanted - seen.get(alert.name, set())
        for alert in every_alert(load())
        if alert.name != WATCHDOG and seen.get(alert.name, set()) < wanted
    }
    assert unproven == {}


def test_every_severity_of_a_burn_alert_is_proven() -> None:
    proven = {
        (check["alertname"], alert["exp_labels"]["window"])
        for path in TESTS
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]
        for check in test.get("alert_rule_test", [])
        for alert in check["exp_alerts"]
        if "window" in alert["exp_labels"]
    }
    assert proven == {(alert.name, alert.labels["window"]) for alert in every_alert(load()) if "window" in alert.labels}


def test_recorded_series_are_named_level_metric_operations() -> None:
    names = {
        rule.record
        for groups in rule_groups(load()).values()
        for group in groups
        for rule in group.rules
        if isinstance(rule, Recording)
    }
    assert {name for name in names if not re.fullmatch(r"[a-z_]+:[a-z0-9_]+:[a-z][a-z0-9_]*", name)} == set()


def minutes(moment: str) -> int:
    return int(moment.removesuffix("m"))
