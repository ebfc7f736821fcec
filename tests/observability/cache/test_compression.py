import pytest
from prometheus_client import CollectorRegistry

from observability.cache.compression import ENCODINGS, CompressionMetrics


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_bytes_before_and_after_and_the_time_spent_are_kept_by_encoding(encoding: str) -> None:
    registry = CollectorRegistry()

    CompressionMetrics(registry).observe(encoding=encoding, before_bytes=1000, after_bytes=200, seconds=0.004)

    labels = {"encoding": encoding}
    assert registry.get_sample_value("compression_before_bytes_total", labels) == 1000
    assert registry.get_sample_value("compression_after_bytes_total", labels) == 200
    assert registry.get_sample_value("compression_duration_seconds_sum", labels) == pytest.approx(0.004)
    assert registry.get_sample_value("compression_responses_total", {**labels, "reused": "false"}) == 1


def test_a_stored_variant_saves_bytes_without_entering_the_time_distribution() -> None:
    registry = CollectorRegistry()

    CompressionMetrics(registry).observe(encoding="zstd", before_bytes=1000, after_bytes=200, seconds=0.0)

    assert registry.get_sample_value("compression_responses_total", {"encoding": "zstd", "reused": "true"}) == 1
    assert registry.get_sample_value("compression_after_bytes_total", {"encoding": "zstd"}) == 200
    assert registry.get_sample_value("compression_duration_seconds_count", {"encoding": "zstd"}) is None


def test_a_body_sent_as_it_is_was_not_reused() -> None:
    registry = CollectorRegistry()

    CompressionMetrics(registry).observe(encoding="identity", before_bytes=90, after_bytes=90, seconds=0.0)

    assert registry.get_sample_value("compression_responses_total", {"encoding": "identity", "reused": "false"}) == 1


def test_an_unknown_content_coding_is_other() -> None:
    registry = CollectorRegistry()

    CompressionMetrics(registry).observe(encoding="x-mine", before_bytes=90, after_bytes=80, seconds=0.1)

    assert registry.get_sample_value("compression_before_bytes_total", {"encoding": "other"}) == 90
