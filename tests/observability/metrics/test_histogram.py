"""Observations counted together are counted like each by itself."""

from hypothesis import given
from hypothesis import strategies as some

from observability.metrics.histogram import BucketCounts

BOUNDS_S = (0.01, 0.1, 1)


@given(some.lists(some.floats(min_value=-2, max_value=3, allow_nan=False) | some.sampled_from((-1.0, 0.0, *BOUNDS_S))))
def test_many_at_once_fall_into_the_buckets_that_each_would_and_negative_ones_into_none(seconds: list[float]) -> None:
    together, one_by_one = BucketCounts(BOUNDS_S), BucketCounts(BOUNDS_S)
    together.observe_all(seconds)
    for each in sorted(seconds):
        if each >= 0:
            one_by_one.observe(each)
    assert together.buckets == one_by_one.buckets
    assert abs(together.sum_s - one_by_one.sum_s) < 1e-9


def test_the_last_trace_in_a_bucket_is_its_example() -> None:
    durations = BucketCounts(BOUNDS_S)
    durations.set_exemplars([(0.05, (1, 5, 10.0)), (2.0, (2, 6, 11.0)), (0.06, (3, 7, 12.0)), (-1.0, (4, 8, 13.0))])
    assert {bucket: (one.labels, one.value, one.timestamp) for bucket, one in durations.exemplars.items()} == {
        1: ({"trace_id": f"{3:032x}", "span_id": f"{7:016x}"}, 0.06, 12.0),
        3: ({"trace_id": f"{2:032x}", "span_id": f"{6:016x}"}, 2.0, 11.0),
    }
