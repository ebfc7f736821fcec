"""Known results of the trials."""

import json

import pytest

from observability.whatif.body_trials import (
    MAX_JSON_BYTES,
    BodyTrials,
    TrialCounts,
    best_coding,
    codings,
    outermost_rows,
)

OFFERED = ("zstd", "br", "gzip")


def tried(document: object, *, is_json: bool = True) -> TrialCounts:
    trials = BodyTrials(codings())
    trials.try_body("/x", json.dumps(document).encode(), is_json=is_json)
    return trials.counts["/x"]


def test_nulls_are_counted_in_the_bytes_of_the_application_s_own_format() -> None:
    counts = tried([{"a": 1, "b": None}] * 10)
    written = len(json.dumps([{"a": 1, "b": None}] * 10))
    assert counts.json_bytes == written
    assert counts.without_nulls_bytes == pytest.approx(written * 81 / 171, abs=1)  # of {"a":1,"b":null} and a comma


def test_a_document_without_nulls_loses_nothing() -> None:
    counts = tried({"a": [1, 2, 3], "b": "text é"})
    assert counts.without_nulls_bytes == counts.json_bytes


def test_a_page_has_its_share_of_the_rows() -> None:
    counts = tried({"items": [{"number": 1000 + number} for number in range(200)], "total": 200})
    assert counts.rows == 200
    assert counts.page_bytes[20] == pytest.approx(counts.json_bytes / 10, rel=0.1)
    assert counts.page_bytes[100] == pytest.approx(counts.json_bytes / 2, rel=0.05)


def test_a_short_list_is_one_page() -> None:
    counts = tried([1] * 20)
    assert set(counts.page_bytes.values()) == {counts.json_bytes}


def test_every_coding_makes_a_repetitive_body_smaller() -> None:
    counts = tried("the same " * 1000, is_json=False)
    assert set(counts.compressed_bytes) == set(OFFERED)
    assert max(counts.compressed_bytes.values()) < counts.size_bytes / 20
    assert not counts.json_bodies


@pytest.mark.parametrize("body", [b"not json", b"[" * 100_000, b'"' + b"x" * MAX_JSON_BYTES + b'"'])
def test_a_body_that_cannot_be_parsed_is_compressed_only(body: bytes) -> None:
    trials = BodyTrials(codings())
    trials.try_body("/x", body, is_json=True)
    assert trials.counts["/x"].bodies == 1
    assert not trials.counts["/x"].json_bodies


@pytest.mark.parametrize(
    ("document", "rows"),
    [([1, 2], 2), ({"a": [1], "b": [1, 2, 3], "c": 5}, 3), ({"a": {"b": [1]}}, 0), ("text", 0), ({}, 0), (None, 0)],
)
def test_the_outermost_list(document: object, rows: int) -> None:
    assert len(outermost_rows(document)) == rows


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("GZIP", "gzip"),
        ("gzip;q=0", "identity"),
        ("*", "zstd"),
        ("*, zstd;q=0", "br"),
        ("gzip; q=0.5", "gzip"),
        ("", "identity"),
        ("identity", "identity"),
    ],
)
def test_the_best_coding_that_a_client_accepts(header: str, coding: str) -> None:
    assert best_coding(header, OFFERED) == coding


def test_one_body_at_a_time_is_kept() -> None:
    trials = BodyTrials(codings())
    assert not trials.reserve(), "it has not started"
    trials.start()
    try:
        trials.release()
        assert trials.reserve()
        assert not trials.reserve()
    finally:
        trials.stop()
    assert not trials.reserve()
