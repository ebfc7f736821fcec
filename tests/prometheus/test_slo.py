import re
from pathlib import Path

import pytest

from observability.core.settings import DEFAULT_BUCKETS_S
from prometheus.promql import bucket
from prometheus.slo import InvalidObjectives, Objectives, load

TEXT = (Path(__file__).parents[2] / "slo.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def objectives() -> Objectives:
    return load()


def error_of(tmp_path: Path, old: str, new: str) -> str:
    assert old in TEXT
    path = tmp_path / "slo.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InvalidObjectives) as invalid:
        load(path)
    return str(invalid.value)


def test_every_threshold_is_a_bucket_of_the_latency_histogram(objectives: Objectives) -> None:
    assert set(objectives.thresholds_s()) <= set(DEFAULT_BUCKETS_S)


def test_every_group_has_both_objectives(objectives: Objectives) -> None:
    assert [(slo.group, slo.sli) for slo in objectives.slos()] == [
        (group, sli) for group in objectives.groups for sli in ("availability", "latency")
    ]


def test_an_objective_of_everything_is_rejected(tmp_path: Path) -> None:
    said = error_of(tmp_path, "availability = { objective = 0.999 }", "availability = { objective = 1.0 }")
    assert said == "slo.toml: groups.flights.availability.objective: Input should be less than 1"


def test_a_misspelt_entry_is_rejected_by_its_name(tmp_path: Path) -> None:
    assert "limits.pool_wait: Extra inputs are not permitted" in error_of(tmp_path, "pool_wait_s =", "pool_wait =")


def test_a_window_that_is_no_duration_is_rejected(tmp_path: Path) -> None:
    assert "slo.toml: window: " in error_of(tmp_path, 'window = "30d"', 'window = "a month"')


def test_a_route_in_two_groups_is_rejected(tmp_path: Path) -> None:
    said = error_of(tmp_path, '"/weather/{faa}"', '"/flights"')
    assert "/flights is in flights and in upstream; a route belongs to one group" in said


def test_only_one_group_can_take_the_rest(tmp_path: Path) -> None:
    said = error_of(tmp_path, 'handlers = ["/weather/{faa}"]', 'handlers = "rest"')
    assert "groups upstream, rest are both `rest`: only one can be" in said


def test_what_is_no_toml_is_rejected_with_its_line(tmp_path: Path) -> None:
    assert "line" in error_of(tmp_path, "[limits]", "[limits")


@pytest.mark.parametrize(
    ("handler", "group"),
    [
        ("/flights", "flights"),
        ("/flights/{flight_id}", "flights"),
        ("/flights/{flight_id}/status", "writes"),
        ("/airports/{faa}/departures", "boards"),
        ("/orders/{order_id}", "rest"),
        ("/flightsX", "rest"),
        ("/livez", None),
        ("unmatched", None),
    ],
)
def test_every_route_is_in_exactly_one_group(objectives: Objectives, handler: str, group: str | None) -> None:
    matching = []
    for name in objectives.groups:
        operator, pattern = re.fullmatch(r'handler(=~|!~)"(.*)"', objectives.selector(name)).groups()  # type: ignore[union-attr]  # a failure is the test's
        if (re.fullmatch(pattern, handler) is not None) == (operator == "=~"):
            matching.append(name)
    assert matching == ([group] if group else [])


@pytest.mark.parametrize(("threshold_s", "matcher"), [(0.25, 'le="0.25"'), (1.0, 'le=~"1([.]0)?"'), (2.5, 'le="2.5"')])
def test_a_bucket_is_found_as_prometheus_2_and_3_write_it(threshold_s: float, matcher: str) -> None:
    assert bucket(threshold_s) == matcher
