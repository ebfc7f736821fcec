import pytest

from tests.conftest import LONG, TESTS

pytest_plugins = ["pytester"]


def test_the_long_files_exist() -> None:
    assert [path for path in LONG if not (TESTS / path).exists()] == []


def test_the_file_of_a_test_with_a_longer_time_limit_runs_first(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_first="def test_short(): pass",
        test_second="import pytest\ndef test_beside(): pass\n@pytest.mark.timeout(200)\ndef test_long(): pass",
        test_third="import pytest\n@pytest.mark.timeout(20)\ndef test_limited(): pass",
    )
    result = pytester.runpytest_inprocess("-p", "tests.conftest", "-o", "timeout=120", "-v")
    result.stdout.fnmatch_lines(["*::test_beside *", "*::test_long *", "*::test_short *", "*::test_limited *"])
