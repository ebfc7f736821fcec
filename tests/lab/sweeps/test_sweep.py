"""The scalability law against curves whose law is known, and what sweeps recommend."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lab.analysis.scalability import ScalabilityLaw, fitted
from lab.analysis.transfer import LINKS_BIT_PER_S, CodedBodies
from lab.arms.databases import DATABASES
from lab.core.errors import UnknownExperiment
from lab.load.client_state import DECODERS
from lab.report.formatting import TIMES
from lab.sweeps.catalogue import KNOWN, select_sweeps
from lab.sweeps.coding import CODINGS
from lab.sweeps.compression import recommended as recommended_coding
from lab.sweeps.compression import sweep_result as coding_result
from lab.sweeps.data_size import VARIANTS, part_of
from lab.sweeps.data_size import recommended as recommended_variant
from lab.sweeps.data_size import sweep_result as data_size_result
from lab.sweeps.load import SWEEPS, Sweep, recommended
from lab.sweeps.load import sweep_result as load_result
from lab.sweeps.point import Point, spread_note

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


def named(name: str) -> Sweep:
    return next(sweep for sweep in SWEEPS if sweep.name == name)


def point(value: int, throughput_per_s: float, *, clients: int = 4, errors: int = 0) -> Point:
    return Point(
        value=value,
        clients=clients,
        throughput_per_s=throughput_per_s,
        p50_s=None,
        p95_s=None,
        bytes_per_request=None,
        cpu_per_request_s=None,
        errors=errors,
    )


def test_the_smallest_value_that_is_as_good_as_the_best_is_recommended() -> None:
    points = [point(1, 100.0), point(2, 190.0), point(4, 198.0), point(8, 200.0)]
    chosen, reason = recommended(named("pool-size"), points)
    assert chosen == 2
    assert "the maximum is 200, with 8" in reason


def test_a_setting_is_as_good_as_the_best_if_passes_of_one_point_differ_by_more() -> None:
    calm = [point(1, 85.0), point(2, 97.0), point(4, 100.0)]
    noisy = [each.model_copy(update={"spread": 0.2}) for each in calm]
    assert [recommended(named("pool-size"), points)[0] for points in (calm, noisy)] == [2, 1]


def test_nothing_is_recommended_where_passes_of_one_point_differ_too_much() -> None:
    wild = [point(value, rate).model_copy(update={"spread": 0.9}) for value, rate in ((1, 50.0), (2, 100.0))]
    chosen, reason = recommended(named("pool-size"), wild)
    assert chosen is None
    assert reason == "two passes of the same point differ by 90% in the median: the machine was too busy"


def test_a_note_states_the_difference_between_passes() -> None:
    points = [point(1, 100.0).model_copy(update={"spread": spread}) for spread in (0.02, 0.04, 0.3)]
    assert "differ by 4% in the median and 30% at most" in spread_note(points)


def test_a_page_is_judged_by_its_rows_per_second() -> None:
    assert recommended(named("page-size"), [point(10, 200.0), point(100, 100.0), point(500, 20.0)])[0] == 100


def test_a_value_with_failing_requests_is_not_recommended() -> None:
    assert recommended(named("pool-size"), [point(1, 500.0, errors=3), point(2, 100.0)])[0] == 2
    assert recommended(named("pool-size"), [point(1, 500.0, errors=3)])[0] is None


def test_all_sweeps_can_be_selected_and_an_unknown_name_is_rejected_with_the_known_ones() -> None:
    every = ["pool-size", "threads", "page-size", "compression", "ttl", "data-size", "distance"]
    assert select_sweeps(["all"]) == list(KNOWN) == every
    assert select_sweeps(["ttl", "pool-size", "ttl"]) == ["ttl", "pool-size"]
    with pytest.raises(UnknownExperiment, match="no sweep named nonsense; there are: all, pool-size, threads"):
        select_sweeps(["nonsense"])


def test_a_maximum_is_noted_and_its_law_is_drawn_beside_the_measurements() -> None:
    law = ScalabilityLaw(rate_per_s=100.0, contention=0.02, coherence=0.004)
    points = [point(value, law.throughput(clients), clients=clients) for value in (1, 2) for clients in CLIENTS]
    found = load_result(named("pool-size"), points)
    assert found.recommendation == "POOL_SIZE 1"
    assert "Throughput falls beyond about 16 concurrent clients" in found.reason
    assert "contention 2.0%, coherence 0.40%" in found.notes[0]
    throughput = found.curves[0]
    assert [line.is_dashed for line in throughput.lines] == [False, False, True]
    assert throughput.lines[2].points[-1][1] == pytest.approx(law.throughput(32), rel=0.01)
    assert found.tables[0].chosen == list(range(len(CLIENTS)))


def coding(name: str, level: int | None, *, share: float, cpu_s: float) -> CodedBodies:
    """Return a coding of a body of 100 kB, and of one of 1 kB that takes a hundredth."""
    return CodedBodies(
        coding=name,
        level=level,
        before_bytes={"large": 100_000, "small": 1_000},
        after_bytes={"large": round(100_000 * share), "small": round(1_000 * share)},
        cpu_s={"large": cpu_s, "small": cpu_s / 100},
    )


def test_the_coding_is_recommended_that_is_never_far_from_the_fastest_on_any_link() -> None:
    slow_and_small = coding("br", 9, share=0.10, cpu_s=0.050)
    between = coding("zstd", 3, share=0.15, cpu_s=0.0005)
    nothing = coding("identity", None, share=1.0, cpu_s=0.0)
    chosen, reason = recommended_coding([slow_and_small, between, nothing])
    assert chosen == "zstd 3"
    assert reason.endswith("15% of the bytes for 5.0 ms of CPU per MB; the fastest on every link")


def test_a_slow_link_is_worth_more_cpu_than_a_fast_one() -> None:
    small = coding("br", 9, share=0.10, cpu_s=0.020)
    quick = coding("zstd", 1, share=0.14, cpu_s=0.0002)
    found = coding_result([coding("identity", None, share=1.0, cpu_s=0.0), small, quick])
    fastest = found.tables[1].rows
    assert [(row["1 Mbit/s"], row["1000 Mbit/s"]) for row in fastest] == [("br 9", "zstd 1"), ("br 9", "zstd 1")]
    assert "which is br 9 on 1 Mbit/s" in found.reason


def test_the_time_of_a_coding_is_cpu_time_plus_transfer_time() -> None:
    one = coding("br", 9, share=0.10, cpu_s=0.020)
    assert one.total_s("large", "1 Mbit/s") == pytest.approx(0.020 + 10_000 * 8 / 1e6)
    assert one.typical_s("1 Mbit/s") == pytest.approx(0.1 * 0.1, rel=0.01)  # of 0.1 s and 0.001 s, geometrically
    assert set(LINKS_BIT_PER_S.values()) == {1e6, 1e7, 1e8, 1e9}


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
            query = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
            assert some.execute(query).fetchall() == every.execute(query).fetchall()
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
    growth, chosen, reason = recommended_variant(
        {"all rows": curve(0.01, 0.1), "pages": curve(0.005, 0.0055), "more": curve(0.02, 0.02)}
    )
    assert growth == {"all rows": pytest.approx(10), "pages": pytest.approx(1.1), "more": 1.0}
    assert chosen == "pages"
    assert f"all rows 10.0{TIMES}, pages 1.1{TIMES}" in reason


def test_where_nothing_is_flat_nothing_is_recommended() -> None:
    assert recommended_variant({"all rows": curve(0.01, 0.1)})[1] is None
    assert recommended_variant({"all rows": []}) == ({}, None, "not measured")


def test_growth_is_drawn_over_the_number_of_flights() -> None:
    variant, *_ = VARIANTS
    (drawn,) = data_size_result({variant: curve(0.01, 0.1)}).curves
    assert drawn.lines[0].points == [(33_677.6, 0.01), (336_776.0, 0.1)]
