import pytest

from tests.each import each


@pytest.fixture
def limit() -> int:
    return 2


@each("number", lambda: [1, 2])
def test_every_value_is_tested_with_the_fixtures_of_the_test(number: int, limit: int) -> None:
    assert number <= limit


@each("number", lambda: [1, 2])
class TestNumber:
    def test_a_class_is_decorated_method_by_method(self, number: int, limit: int) -> None:
        assert number <= limit


def test_every_failure_is_reported_with_its_value() -> None:
    @each("number", lambda: range(5), ids="number {}".format)
    def odd(number: int) -> None:
        assert number % 2

    with pytest.raises(ExceptionGroup, match="3 of 5") as failed:
        odd()  # type: ignore[call-arg]  # the decorator gives it
    assert [one.__notes__ for one in failed.value.exceptions] == [[f"number: number {one}"] for one in (0, 2, 4)]


def test_no_value_at_all_is_a_failure() -> None:
    @each("number", list)
    def tested(number: int) -> None:
        assert number

    with pytest.raises(AssertionError, match="there is no number"):
        tested()  # type: ignore[call-arg]  # the same
