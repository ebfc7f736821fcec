"""What PromQL and configuration mean in Prometheus 2.42, which Debian 12 ships, and in 3, which the compose file runs.

Its migration guide names what changed: `1` became `1.0` in the labels `le` and `quantile`, ranges lost their left end,
`holt_winters` and some flags went, `.` matches line ends (none of our labels holds one), Alertmanager's first API went.
"""

import re
from collections.abc import Iterator

import pytest
import yaml

from prometheus.duration import seconds
from prometheus.generated import ROOT
from tests.grafana.panel import expressions
from tests.prometheus.test_alerts import RUNBOOKS, queries

FOLDERS = ("prometheus", "prometheus/accelerated")
WHOLE_BUCKET = re.compile(r"""\b(?:le|quantile)\s*=\s*["']\d+(?:\.0)?["']""")
ONLY_TWO = re.compile(r"\bholt_winters\b")
ONLY_LATER = re.compile(
    r"\b(?:double_exponential_smoothing|mad_over_time|info|limitk|limit_ratio|sort_by_label(?:_desc)?"
    r"|histogram_(?:avg|stddev|stdvar)|ts_of_\w+_over_time|first_over_time)\s*\("
)
REMOVED_FLAGS = re.compile(
    r"--(?:alertmanager\.timeout|storage\.tsdb\.(?:allow-overlapping-blocks|retention=)|web\.enable-remote-write=)"
    r"|--enable-feature=\S*(?:promql-at-modifier|promql-negative-offset|new-service-discovery-manager"
    r"|expand-external-labels|no-default-scrape-port|agent|remote-write-receiver)"
)
SUBQUERY = re.compile(r"\[(\w+):(\w+)\]")
RANGE = re.compile(r"\[(\w+)\]")
ENOUGH_SAMPLES = 4
"""Of the shortest range: with one fewer at its left end a rate still has three."""


def rules(folder: str) -> Iterator[tuple[str, str, float]]:
    """Yield where it is, the expression, and the group's interval in seconds."""
    for path in sorted((ROOT / folder).glob("*/*.yml")):
        if path.parent.name not in {"rules", "alerts"}:
            continue
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                yield f"{folder}: {path.stem} {name}", rule["expr"], seconds(group["interval"])


def everything() -> Iterator[tuple[str, str]]:
    """Yield every expression of rules, boards and runbooks."""
    for folder in FOLDERS:
        yield from ((where, expression) for where, expression, _ in rules(folder))
    yield from expressions()
    for page in sorted(RUNBOOKS.glob("*.md")):
        yield from ((page.stem, query) for query in queries(page))


@pytest.mark.parametrize(
    "form", [WHOLE_BUCKET, ONLY_TWO, ONLY_LATER], ids=["whole bucket", "only in 2", "not yet in 2.42"]
)
def test_no_expression_means_something_else_in_the_other_version(form: re.Pattern[str]) -> None:
    assert {where for where, expression in everything() if form.search(expression)} == set()


@pytest.mark.parametrize(
    ("expression", "is_risky"),
    [('x{le="1"}', True), ('x{le="1.0"}', True), ('x{le=~"1([.]0)?"}', False), ('x{le="0.25"}', False)],
)
def test_a_bucket_of_whole_seconds_is_matched_in_both_forms(expression: str, is_risky: bool) -> None:
    assert bool(WHOLE_BUCKET.search(expression)) == is_risky


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_range_depends_on_the_sample_at_its_left_end(folder: str) -> None:
    for where, expression, interval_s in rules(folder):
        short = {one for one in RANGE.findall(expression) if seconds(one) < ENOUGH_SAMPLES * interval_s}
        short |= {over for over, step in SUBQUERY.findall(expression) if seconds(over) < ENOUGH_SAMPLES * seconds(step)}
        assert short == set(), where


@pytest.mark.parametrize(
    "path", ["docker-compose.yml", "lab/drills/environments/monitoring.py", "tests/servers/prometheus.py"]
)
def test_no_flag_is_used_that_three_has_not(path: str) -> None:
    assert REMOVED_FLAGS.findall((ROOT / path).read_text("utf-8")) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_alerts_are_sent_through_the_api_of_both_versions(folder: str) -> None:
    configuration = yaml.safe_load((ROOT / folder / "prometheus.yml").read_text("utf-8"))
    assert {one.get("api_version", "v2") for one in configuration["alerting"]["alertmanagers"]} == {"v2"}
