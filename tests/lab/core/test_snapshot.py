"""What a service says about itself, and the figures made of it."""

import pytest

from lab.core.snapshot import Snapshot
from lab.load.recording import Recording
from lab.measure.metric import METRICS, ArmRound, metric_named, metrics_of_kind

BEFORE = """\
# TYPE http_requests_total counter
http_requests_total{handler="/a",status="200"} 10
# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.1"} 4
lag_seconds_bucket{le="0.5"} 4
lag_seconds_bucket{le="+Inf"} 4
lag_seconds_count 4
lag_seconds_sum 0.1
"""
AFTER = """\
# TYPE http_requests_total counter
http_requests_total{handler="/a",status="200"} 25
http_requests_total{handler="/b",status="500"} 5
# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.1"} 13
lag_seconds_bucket{le="0.5"} 14
lag_seconds_bucket{le="+Inf"} 14
lag_seconds_count 14
lag_seconds_sum 1.1
"""


def recorded(responses: int) -> Recording:
    recording = Recording(duration_s=1.0)
    recording.responses["page"] = responses
    return recording


def test_a_snapshot_has_the_increase_since_another() -> None:
    grown = Snapshot.parse(AFTER).since(Snapshot.parse(BEFORE))
    assert grown.total("http_requests_total") == 20
    assert grown.total("http_requests_total", status="500") == 5
    assert grown.totals_by("http_requests_total", "handler") == {"/a": 15, "/b": 5}
    assert grown.total("unknown") is None


@pytest.mark.parametrize(("share", "bound"), [(0.5, 0.1), (0.9, 0.1), (0.99, 0.5)])
def test_a_quantile_is_the_bound_of_the_bucket_that_holds_it(share: float, bound: float) -> None:
    assert Snapshot.parse(AFTER).since(Snapshot.parse(BEFORE)).quantile("lag_seconds", share) == bound


def test_a_histogram_that_observed_nothing_has_no_quantile() -> None:
    snapshot = Snapshot.parse(BEFORE)
    assert snapshot.since(snapshot).quantile("lag_seconds", 0.99) is None


def test_a_response_from_any_level_of_a_cache_is_a_hit() -> None:
    page = """\
cache_requests_total{cache="board",level="local",result="hit"} 60
cache_requests_total{cache="board",level="local",result="miss"} 40
cache_requests_total{cache="board",level="shared",result="hit"} 25
cache_requests_total{cache="board",level="shared",result="stale"} 3
cache_requests_total{cache="board",level="shared",result="coalesced"} 2
cache_requests_total{cache="board",level="shared",result="miss"} 10
"""
    arm_round = ArmRound(open_loop=recorded(100), open_loop_delta=Snapshot.parse(page))
    assert metric_named("hit_ratio").of(arm_round) == pytest.approx(0.9)


def test_counts_are_per_response() -> None:
    page = 'db_queries_per_request_sum{method="GET",handler="/a"} 310\nprocess_cpu_seconds_total 4\n'
    arm_round = ArmRound(
        open_loop=recorded(10),
        closed_loop=recorded(40),
        open_loop_delta=Snapshot.parse(page),
        closed_loop_delta=Snapshot.parse(page),
    )
    assert metric_named("queries_per_request").of(arm_round) == 620 / 50  # in both loops
    assert metric_named("cpu_per_request_s").of(arm_round) == 0.1


@pytest.mark.parametrize("metric", [*METRICS, *metrics_of_kind("page")], ids=lambda metric: metric.name)
def test_a_metric_of_an_empty_slot_is_none_instead_of_an_error(metric: object) -> None:
    assert metric_named(metric.name).of(ArmRound(open_loop=Recording(duration_s=1.0))) is None  # type: ignore[attr-defined]


def test_metrics_are_found_by_name_with_and_without_a_kind() -> None:
    arm_round = ArmRound(open_loop=recorded(4))
    arm_round.open_loop.received_bytes["page"] = 400
    assert metric_named("page.bytes_per_request").of(arm_round) == 100
    with pytest.raises(KeyError):
        metric_named("nonsense")
