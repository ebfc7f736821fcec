import re

import pytest

from docsgen.metrics_page import SERVICE_LABELS, package_metrics, service_metrics, whatif_metrics
from observability.metrics.reference import LABELS, MetricDescription
from tests.each import each

EVERY = [*package_metrics(), *service_metrics(), *whatif_metrics()]
OURS = [one for one in EVERY if not one.name.startswith(("python_gc_objects", "python_gc_collections", "python_info"))]
UNITS = "seconds|bytes|total|entries|threads|tasks|fds|requests|count|max|size|inprogress|state|request|info|ratio|up"


@each("metric", lambda: EVERY, ids=lambda metric: metric.name)
def test_a_metric_s_name_ends_with_its_unit(metric: MetricDescription) -> None:
    assert re.fullmatch(rf"[a-z][a-z0-9_]*_({UNITS})", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")


@each("metric", lambda: EVERY, ids=lambda metric: metric.name)
def test_a_metric_s_labels_come_from_a_known_set(metric: MetricDescription) -> None:
    assert set(metric.labels) <= LABELS.keys() | SERVICE_LABELS.keys()


@each("metric", lambda: OURS, ids=lambda metric: metric.name)
def test_a_metric_s_help_is_a_sentence(metric: MetricDescription) -> None:
    assert re.fullmatch(r"[A-Z0-9][^\n]{10,}\.", metric.help)


def test_every_label_that_is_explained_is_used() -> None:
    assert LABELS.keys() | SERVICE_LABELS.keys() == {label for metric in EVERY for label in metric.labels}


@pytest.mark.parametrize(
    "name",
    [
        *("http_requests_total", "http_request_duration_seconds", "http_request_duration_highr_seconds"),
        *("http_requests_inprogress", "http_response_size_bytes", "db_client_connection_count"),
        *("db_client_connection_max", "db_client_connection_pending_requests", "db_client_connection_timeouts_total"),
        *("db_client_connection_create_time_seconds", "db_client_connection_wait_time_seconds"),
        *("db_client_connection_use_time_seconds", "db_client_operation_duration_seconds", "db_queries_per_request"),
        *("cache_requests_total", "process_cpu_seconds_total", "event_loop_lag_seconds", "python_gc_pause_seconds"),
        *("observability_errors_total", "task_queue_wait_seconds", "tasks_total"),
    ],
)
def test_the_names_that_dashboards_rely_on_are_there(name: str) -> None:
    assert name in {metric.name for metric in EVERY}
