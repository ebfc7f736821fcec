"""Every metric that a rule, an alert or a runbook reads is exposed by a process that really runs.

Those of the collector are in a list that the test of the collector checks.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from prometheus.build import rule_files
from prometheus.expression import series_in
from prometheus.generated import ROOT
from prometheus.rule import Recording
from prometheus.slo import load
from service.database.replica import ReplicaMetrics
from tests.grafana.exporters import EXPORTERS
from tests.prometheus.exposition import exposed_in, labels_in, labels_of
from tests.prometheus.test_alerts import queries
from tests.servers.arm import BEARER, arm_settings, running_arm

OF_PROMETHEUS = {"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped"}
TARGET_LABELS = {"job", "arm", "instance"}
RULES = [rule for groups in rule_files(load()).values() for group in groups for rule in group.rules]
RECORDED = {rule.record for rule in RULES if isinstance(rule, Recording)}
EXPRESSIONS = [rule.expr for rule in RULES] + [
    query for page in sorted((ROOT / "docs/runbooks").glob("*.md")) for query in queries(page)
]


@pytest.fixture(scope="module")
def service_exposition(few_flights: Path) -> Iterator[str]:
    """The metrics of the service after a few requests of each kind."""
    with running_arm(arm_settings("all", few_flights)) as arm:
        flights = arm.client.get("/flights?limit=2").json()["items"]
        for path in ("/reports/delays?by=carrier", "/airports/JFK", "/airlines", "/nowhere"):
            arm.client.get(path)
            arm.client.get(path)
        arm.client.patch(f"/flights/{flights[0]['id']}/status", json={}, headers=BEARER)
        yield generate_latest(arm.registry).decode()


@pytest.fixture(scope="module")
def replica_exposition() -> str:
    registry = CollectorRegistry()
    ReplicaMetrics(registry)
    return generate_latest(registry).decode()


def test_every_metric_that_is_read_exists(
    service_exposition: str, replica_exposition: str, prometheus_exposition: str, alertmanager_exposition: str
) -> None:
    collector = {name for names in EXPORTERS.values() for name in names if name.startswith("otelcol_")}
    exposed = RECORDED | OF_PROMETHEUS | collector
    for text in (service_exposition, replica_exposition, prometheus_exposition, alertmanager_exposition):
        exposed |= exposed_in(text)
    unknown = {name for expression in EXPRESSIONS for name in series_in(expression)} - exposed
    assert unknown == set()


def test_every_label_that_is_matched_exists(service_exposition: str, prometheus_exposition: str) -> None:
    labels = labels_of(service_exposition) | labels_of(prometheus_exposition)
    unknown = {
        (name, label)
        for expression in EXPRESSIONS
        for name, label in labels_in(expression)
        if name in labels and label not in labels[name] | TARGET_LABELS
    }
    assert unknown == set()


def test_names_and_labels_are_found_inside_an_expression() -> None:
    expression = 'sum by (arm) (rate(a_total{status=~"5..", handler=~"/x/[{]y[}]"}[5m])) / on (arm) b{c="d"} unless e'
    assert series_in(expression) == {"a_total", "b", "e"}
    assert set(labels_in(expression)) == {("a_total", "status"), ("a_total", "handler"), ("b", "c")}
