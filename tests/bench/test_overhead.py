"""The benchmark of the instrumentation fails when it should."""

import pytest

from bench.overhead import regressions
from bench.overhead_page import Row


def row(name: str, kept: float) -> Row:
    return Row(name=name, title=name, microseconds=1, added=1, kept=kept, quartiles=(kept, kept), per_second=1)


@pytest.mark.parametrize(
    ("name", "kept", "is_loud"),
    [
        ("ours-10", 0.85, False),
        ("ours-10", 0.81, False),
        ("ours-10", 0.79, True),
        ("ours-10", 0.95, False),
        ("naive", 0.01, False),
        ("ours-new", 0.01, False),
    ],
)
def test_five_points_less_of_ours_is_a_regression(name: str, kept: float, is_loud: bool) -> None:
    lines = regressions([row("bare", 1.0), row(name, kept)], {"ours-10": 0.85, "naive": 0.10})
    assert lines == ([f"{name} keeps {kept:.2f} of the bare throughput; it was 0.85"] if is_loud else [])
