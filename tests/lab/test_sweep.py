"""The scalability law against curves whose law is known, and what sweeps recommend."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lab.compression_sweep import CODINGS, LINKS_BIT_PER_S, CompressionPoint
from lab.compression_sweep import recommended as recommended_coding
from lab.data_size import part_of, told
from lab.databases import DATABASES
from lab.errors import UnknownExperiment
from lab.memory import DECODERS
from lab.scalability import ScalabilityLaw, fitted
from lab.sweep import Point, recommended, sweep_named

CLIENTS = [1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize(
    ("contention", "coherence"), [(0.0, 0.0), (0.05, 0.0), (0.02, 0.001)], ids=["linear", "a ceiling", "a knee"]
)
def test_a_known_law_is_found_again_under_noise(contention: float, coherence: float) -> None:
    law = ScalabilityLaw(rate_per_s=100.0, contention=contention, coherence=coherence)
    noise = np.random.default_rng(1).normal(1, 0.01, len(CLIENTS))
    found = fitted(CLIENTS, [law.throughput(number) * factor for number, factor in zip(CLIENTS, noise, strict=True)])
    for number in CLIENTS:
        assert found.throughput(number) == pytest.approx(law.throughput(number), rel=0.03)
    if law.knee is not None:
        assert found.knee == pytest.approx(law.knee, rel=0.25)


def test_the_knee_is_where_throughput_is_highest() -> None:
    law = ScalabilityLaw(rate_per_s=100.0, contention=0.02, coherence=0.001)
    knee = law.knee
    assert knee is not None
    assert law.throughput(knee) > max(law.throughput(knee * 0.8), law.throughput(knee * 1.25))


def test_two_points_make_no_law() -> None:
    with pytest.raises(ValueError, match="three pairs are needed"):
        fitted([1, 2], [10, 20])


def point(value: int, throughput_per_s: float, *, clients: int = 4, errors: int = 0) -> Point:
    return Point(
        value=value,
        clients=clients,
        throughput_per_s=throughput_per_s,
        p50_s=None,
        p95_s=None,
        bytes_per_response=None,
        cpu_per_request_s=None,
        errors=errors,
    )


def test_the_smallest_value_that_is_as_good_as_the_best_is_recommended() -> None:
    points = [point(1, 100.0), point(2, 190.0), point(4, 198.0), point(8, 200.0)]
    chosen, reason = recommended(sweep_named("pool-size"), points)
    assert chosen == 2
    assert "the most was 200, with 8" in reason


def test_a_page_is_judged_by_its_rows_per_second() -> None:
    assert recommended(sweep_named("page-size"), [point(10, 200.0), point(100, 100.0), point(500, 20.0)])[0] == 100


def test_a_value_with_failing_requests_is_not_recommended() -> None:
    assert recommended(sweep_named("pool-size"), [point(1, 500.0, errors=3), point(2, 100.0)])[0] == 2
    assert recommended(sweep_named("pool-size"), [point(1, 500.0, errors=3)])[0] is None


def test_an_unknown_sweep_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownExperiment, match="pool-size, threads, page-size, compression, data-size"):
        sweep_named("nonsense")


def coding(name: str, level: int, *, share: float, cpu_s: float) -> CompressionPoint:
    """Return a coding of a body of 100 kB."""
    totals = {link: cpu_s + 800_000 * share / rate for link, rate in LINKS_BIT_PER_S.items()}
    return CompressionPoint(coding=name, level=level, bytes_share=share, cpu_per_mb_s=cpu_s * 10, total_s=totals)


def test_the_coding_is_recommended_that_is_never_far_from_the_quickest_on_any_link() -> None:
    slow_and_small = coding("br", 9, share=0.10, cpu_s=0.050)
    between = coding("zstd", 3, share=0.15, cpu_s=0.0005)
    nothing = coding("identity", 0, share=1.0, cpu_s=0.0)
    best, chosen, reason = recommended_coding([slow_and_small, between, nothing])
    assert best == {"1 Mbit/s": "zstd 3", "10 Mbit/s": "zstd 3", "100 Mbit/s": "zstd 3", "1000 Mbit/s": "zstd 3"}
    assert chosen == "zstd 3"
    assert "15% of the bytes for 5.0 ms of CPU per MB" in reason


def test_a_slow_link_is_worth_more_cpu_than_a_fast_one() -> None:
    small = coding("br", 9, share=0.10, cpu_s=0.020)
    quick = coding("zstd", 1, share=0.14, cpu_s=0.0002)
    best, _, _ = recommended_coding([small, quick])
    assert best["1 Mbit/s"] == "br 9"
    assert best["1000 Mbit/s"] == "zstd 1"


def test_every_coding_can_be_undone() -> None:
    body = b'{"items": [1, 2, 3]}' * 50
    for name, (made, levels) in CODINGS.items():
        decoded = DECODERS[name.partition(" ")[0]]
        for level in levels:
            assert decoded(made(level)(body)) == body


def test_a_part_of_the_data_has_every_table_and_index_and_some_of_the_flights(data_dir: Path, tmp_path: Path) -> None:
    part = part_of(data_dir, tmp_path / "part", tenths=2)
    for name in DATABASES:
        with closing(sqlite3.connect(part / name)) as some, closing(sqlite3.connect(data_dir / name)) as every:
            asked = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
            assert some.execute(asked).fetchall() == every.execute(asked).fetchall()
            assert some.execute("PRAGMA user_version").fetchone() == every.execute("PRAGMA user_version").fetchone()
            (few,), (many,) = (each.execute("SELECT count(*) FROM flights").fetchone() for each in (some, every))
            assert few / many == pytest.approx(0.2, rel=0.02)
            airports = "SELECT count(*) FROM airports"
            assert some.execute(airports).fetchone() == every.execute(airports).fetchone()


def curve(*medians_s: float) -> list[Point]:
    return [
        point(tenths, 1 / median).model_copy(update={"p50_s": median})
        for tenths, median in zip((1, 10), medians_s, strict=True)
    ]


def test_what_stays_flat_over_ten_times_the_data_is_recommended() -> None:
    growth, chosen, reason = told(
        {"all rows": curve(0.01, 0.1), "pages": curve(0.005, 0.0055), "more": curve(0.02, 0.02)}
    )
    assert growth == {"all rows": pytest.approx(10), "pages": pytest.approx(1.1), "more": 1.0}
    assert chosen == "pages"
    assert "all rows 10.0 times, pages 1.1 times" in reason


def test_where_nothing_is_flat_nothing_is_recommended() -> None:
    assert told({"all rows": curve(0.01, 0.1)})[1] is None
    assert told({"all rows": []}) == ({}, None, "not measured")
