"""Alerts on counters whose first event creates the series: `increase()` alone would miss it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from prometheus.catalogue import every_alert
from prometheus.generated import ROOT
from prometheus.rule import Alert
from prometheus.slo import load
from tests.each import each

BURSTS = {
    "PoolExhausted": {'db_client_connection_timeouts_total{db_client_connection_pool_name="primary"}': 3},
    "UpstreamFailing": {'upstream_requests_total{upstream="weather", outcome="failed"}': 6},
    "RequestsShed": {
        'admission_requests_total{outcome="queue_full"}': 50,
        'admission_requests_total{outcome="admitted"}': 50,
    },
    "CacheDown": {'cache_requests_total{cache="reports", level="shared", result="error"}': 6},
    "TasksFailing": {
        'tasks_total{task="export", state="failure"}': 3,
        'tasks_total{task="export", state="success"}': 1,
    },
    "WorkersMissing": {'tasks_published_total{task="export"}': 1},
    "TelemetryDropped": {'observability_export_total{signal="spans", outcome="dropped"}': 100},
    "CollectorRejectsData": {'otelcol_receiver_refused_log_records_total{receiver="otlp", transport="http"}': 100},
    "CollectorQueueFull": {'otelcol_exporter_enqueue_failed_spans_total{exporter="otlp_grpc/tempo"}': 100},
    "CollectorExportsFailing": {'otelcol_exporter_send_failed_metric_points_total{exporter="otlp_http/prometheus"}': 9},
    "TracesDroppedTooEarly": {
        'otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total{processor="tail_sampling"}': 100
    },
    "TelemetryErrors": {'observability_errors_total{where="http"}': 1},
}
"""By alert: counters, each of which counts everything between two scrapes, before there was a series."""

ALERTS = ROOT / "prometheus/alerts"
STARTED_AT_ZERO = ("prometheus_", "alertmanager_")
CONTINUOUS = {"RouteSlow", "CacheHitRatioCollapsed"}
"""They count what goes on, before the fault too."""


def check(name: str, values: str, firing: dict[int, bool], *, promtool: Callable[..., str], directory: Path) -> None:
    """Check with promtool in which minutes the alert fires; `values` has the count of each counter as `N`."""
    inputs = [
        {
            "series": selector.replace("{", '{job="service", arm="optimized", instance="a:9464", '),
            "values": values.replace("N", str(count)),
        }
        for selector, count in BURSTS[name].items()
    ]
    firing_alerts = f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)'
    checks = [
        {"expr": firing_alerts, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": int(fires)}]}
        for minute, fires in firing.items()
    ]
    document = {
        "rule_files": [str(path) for path in ALERTS.glob("*.yml") if f"alert: {name}\n" in path.read_text("utf-8")],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": checks}],
    }
    path = directory / "test.yml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    assert "SUCCESS" in promtool("test", "rules", path)


@pytest.mark.parametrize("name", BURSTS)
def test_a_burst_before_the_first_scrape_of_its_series_is_seen(
    name: str, promtool: Callable[..., str], tmp_path: Path
) -> None:
    after = 16 if name == "TasksFailing" else 13
    firing = {9: False, after: True, 60: False}
    check(name, "_x9 Nx60", firing, promtool=promtool, directory=tmp_path)


@pytest.mark.parametrize("name", BURSTS)
def test_old_events_are_not_new_after_scrapes_that_failed(
    name: str, promtool: Callable[..., str], tmp_path: Path
) -> None:
    firing = dict.fromkeys(range(64, 120), False)
    check(name, "Nx60 stale _x3 Nx60", firing, promtool=promtool, directory=tmp_path)


@each("alert", lambda: every_alert(load()), ids=lambda alert: alert.name)
def test_counters_of_faults_are_read_with_their_first_event(alert: Alert) -> None:
    alone = re.findall(r"(?<!> 0 or )increase\((\w+)", alert.expr)
    assert alert.name in CONTINUOUS or all(metric.startswith(STARTED_AT_ZERO) for metric in alone)
