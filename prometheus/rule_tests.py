"""Tests of a service's rules for `promtool test rules`: of every objective, and of the alerts as they are committed.

A committed test holds for a service whose limit is the committed one; with another limit it is left out.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from prometheus.burn_rate import BURNS
from prometheus.catalogue import alert_files, every_alert
from prometheus.duration import REAL
from prometheus.generated import ROOT
from prometheus.presence import presence
from prometheus.promql import LATENCY
from prometheus.rule import Alert
from prometheus.scope import Scope
from prometheus.slo import Objectives, Slo, load

Json = dict[str, Any]

OF_FLIGHTS: Final = frozenset({"budget", "burn_pairs", "effects"})
"""Committed tests of the groups and arms of the flights service."""
RECORDED_FILES: Final = {"rules/slo.yml", "rules/effects.yml"}
RECORDED_GROUPS: Final = {"slo", "effects"}
ROUTE_SLOW: Final = "RouteSlow"
"""Its committed test is about the routes of one group of flights."""
INSTANCE: Final = "127.0.0.1:9464"
MINUTES: Final = 480


def rule_tests(objectives: Objectives) -> dict[str, Json]:
    """Return the documents of the tests by their names; `rule_files` are beside their folder."""
    documents = {"objectives": _of_objectives(objectives)}
    committed = _CommittedTests(objectives)
    for path in sorted((ROOT / "prometheus/tests").glob("*.yml")):
        if path.stem not in OF_FLIGHTS and (document := committed.adapted(path.read_text("utf-8"))):
            documents[path.stem] = document
    return documents


class _CommittedTests:
    """Adapts the tests of the flights service to another one."""

    def __init__(self, objectives: Objectives) -> None:
        self._job, self._worker = objectives.jobs[0], objectives.worker_jobs[0]
        self._prefix = objectives.alert_prefix
        self._scope = Scope(objectives)
        self._own, self._committed = objectives.links, load().links
        present = presence(objectives)
        kept = {name: present.kept(groups) for name, groups in alert_files(objectives).items()}
        alerts = [rule for groups in kept.values() for group in groups for rule in group.rules]
        unlimited = load().model_copy(update={"jobs": objectives.jobs})
        expressions = {self._scope.expression(alert.expr) for alert in every_alert(unlimited)}
        self._files = {f"alerts/{name}.yml" for name, groups in kept.items() if groups} | RECORDED_FILES
        self._groups = {group.name for groups in kept.values() for group in groups} | RECORDED_GROUPS
        self._unchanged = {
            rule.name
            for rule in alerts
            if isinstance(rule, Alert) and self._scope.expression(rule.expr) in expressions and rule.name != ROUTE_SLOW
        }

    def adapted(self, text: str) -> Json | None:
        """Return the test for the service, or None if the service has none of its alerts."""
        document: Json = yaml.load(text, Loader=yaml.CSafeLoader)
        tests = []
        for test in document["tests"]:
            own = (one for one in test.get("alert_rule_test", []) if one["alertname"] in self._unchanged)
            if checks := [self._check(one) for one in own]:
                series = [one | {"series": self._series(one["series"])} for one in test["input_series"]]
                kept = {name: value for name, value in test.items() if name != "promql_expr_test"}
                tests.append(kept | {"input_series": series, "alert_rule_test": checks})
        if not tests:
            return None
        return document | {
            "rule_files": [name for name in document["rule_files"] if name.removeprefix("../") in self._files],
            "group_eval_order": [name for name in document["group_eval_order"] if name in self._groups],
            "tests": tests,
        }

    def _check(self, check: Json) -> Json:
        alerts = []
        for alert in check["exp_alerts"]:
            labels = {name: value for name, value in alert["exp_labels"].items() if name != "arm"}
            if labels.get("job") == "service":
                labels["job"] = self._job
            texts = {name: self._text(value) for name, value in alert["exp_annotations"].items()}
            alerts.append({"exp_labels": labels, "exp_annotations": texts})
        return check | {"alertname": self._prefix + check["alertname"], "exp_alerts": alerts}

    def _series(self, series: str) -> str:
        series = re.sub(r'(, )?\barm="[^"]*"', "", series).replace('job="service"', f'job="{self._job}"')
        return series.replace('job="worker"', f'job="{self._worker}"')

    def _text(self, text: str) -> str:
        text = re.sub(r"\?var-arm=\w+&?", "?", text).removesuffix("?")
        text = re.sub(r"\b(?:optimized|service(?= cannot be scraped))\b", self._job, text)
        text = text.replace(self._committed.dashboards, self._own.dashboards)
        return self._scope.text(text.replace(self._committed.runbooks, self._own.runbooks))


def _of_objectives(objectives: Objectives) -> Json:
    """Return a test in which every request of every group misses its objectives for twelve minutes."""
    alerts = {
        objectives.alert_prefix + alert.name: [
            _expected(objectives, slo, alert)
            for slo in objectives.slos()
            if slo.sli.capitalize() in alert.name and 1 / (1 - slo.objective) > BURNS[0].rate
        ]
        for alert in every_alert(objectives)
        if alert.labels.get("window") == BURNS[0].long
    }
    return {
        "rule_files": ["../rules/slo.yml", "../alerts/budget.yml"],
        "evaluation_interval": "5m",
        "group_eval_order": ["slo", "error budget"],
        "tests": [
            {
                "name": "every request misses its objectives for twelve minutes",
                "interval": "1m",
                "input_series": [series for slo in objectives.slos() for series in _input(objectives, slo)],
                "alert_rule_test": [
                    {"eval_time": moment, "alertname": name, "exp_alerts": expected if moment == "10m" else []}
                    for name, expected in alerts.items()
                    for moment in ("5m", "10m", f"{MINUTES}m")
                ],
            }
        ],
    }


def _input(objectives: Objectives, slo: Slo) -> Iterator[Json]:
    handlers = objectives.groups[slo.group].handlers
    handler = "/a-route-that-no-group-lists" if handlers == "rest" else handlers[0]
    handler = handler.replace("\\", r"\\").replace('"', r"\"")
    labels = f'job="{objectives.jobs[0]}", instance="{INSTANCE}", handler="{handler}", method="GET"'
    every, missed, met = f"0+100x{MINUTES}", f"0+100x12 1200x{MINUTES - 12}", f"0x12 0+100x{MINUTES - 12}"
    if slo.threshold_s is None:
        yield {"series": f'http_requests_total{{{labels}, status="5xx", code="500"}}', "values": missed}
        yield {"series": f'http_requests_total{{{labels}, status="2xx", code="200"}}', "values": met}
    else:
        yield {"series": f"{LATENCY}_count{{{labels}}}", "values": every}
        yield {"series": f'{LATENCY}_bucket{{{labels}, le="{slo.threshold_s}"}}', "values": met}


def _expected(objectives: Objectives, slo: Slo, alert: Alert) -> Json:
    labels = {"job": objectives.jobs[0], "slo": slo.name, "sli": slo.sli, "group": slo.group}
    rule = alert.mapping(REAL, Scope(objectives))
    value = f"{1 / (1 - slo.objective):.0f}"

    def filled(text: str) -> str:
        text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)
        return text.replace('{{ $value | printf "%.0f" }}', value)

    return {
        "exp_labels": rule["labels"] | labels,
        "exp_annotations": {name: filled(text) for name, text in rule["annotations"].items()},
    }
