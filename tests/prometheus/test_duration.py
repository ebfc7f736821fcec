import pytest

from prometheus.duration import ACCELERATED, REAL, seconds, text


@pytest.mark.parametrize(
    ("written", "total_s"), [("5m", 300), ("1h30m", 5400), ("3d", 259_200), ("1w", 604_800), ("0s", 0)]
)
def test_a_duration_is_read_in_seconds(written: str, total_s: int) -> None:
    assert seconds(written) == total_s


@pytest.mark.parametrize("wrong", ["", "5", "m", "1.5h", "5m ", "-1m", "1y"])
def test_an_invalid_duration_is_rejected_with_what_is_allowed(wrong: str) -> None:
    with pytest.raises(ValueError, match="allowed: whole numbers of w, d, h, m, s"):
        seconds(wrong)


@pytest.mark.parametrize("written", ["1s", "1m30s", "12h", "30d", "1h1s"])
def test_a_duration_is_written_as_it_is_read(written: str) -> None:
    assert text(seconds(written)) == written


def test_accelerated_an_hour_lasts_a_minute() -> None:
    assert ACCELERATED.duration("1h") == "1m"
    assert ACCELERATED.duration("30d") == "12h"


def test_an_accelerated_duration_is_at_least_a_second_unless_it_is_zero() -> None:
    assert ACCELERATED.duration("15s") == "1s"
    assert ACCELERATED.duration("0s") == "0s"


@pytest.mark.parametrize(
    ("nominal", "accelerated"),
    [
        ("rate(a[5m])", "rate(a[5s])"),
        ("rate(a[1h] offset 2h)", "rate(a[1m] offset 2m)"),
        ("max_over_time((a)[30m:])", "max_over_time((a)[30s:])"),
        ("max_over_time((a)[30m:5m])", "max_over_time((a)[30s:5s])"),
        ("slo:burn_rate:ratio_rate1h > 14.4", "slo:burn_rate:ratio_rate1h > 14.4"),
        ('a{handler=~`/x|/\\{5m\\}`, le="5m"}', 'a{handler=~`/x|/\\{5m\\}`, le="5m"}'),
    ],
)
def test_ranges_and_offsets_are_accelerated_and_names_are_not(nominal: str, accelerated: str) -> None:
    assert ACCELERATED.expression(nominal) == accelerated
    assert REAL.expression(nominal) == nominal
