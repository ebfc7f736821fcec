import pytest

from observability.core.labels import BoundedValues


def test_values_pass_until_there_are_too_many() -> None:
    bounded = BoundedValues(limit=2)
    assert [bounded(value) for value in ("a", "b", "c", "a", "d")] == ["a", "b", "other", "a", "other"]


@pytest.mark.parametrize(("value", "label"), [("hit", "hit"), ("miss", "miss"), ("key:7", "other"), ("", "other")])
def test_a_closed_set_accepts_nothing_else(value: str, label: str) -> None:
    assert BoundedValues.closed(("hit", "miss"))(value) == label


def test_allowed_values_are_always_kept() -> None:
    bounded = BoundedValues(("a", "b", "c"), limit=1)
    assert [bounded(value) for value in ("x", "c")] == ["other", "c"]
