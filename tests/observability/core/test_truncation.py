"""What is left of long text, in the places where it is read: the start of a text, the end of a traceback."""

import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.truncation import innermost_frames, size_bytes, truncated

texts = st.text('aé€😀\n |File"', max_size=300)


@given(texts, st.integers(0, 400), st.sampled_from([truncated, innermost_frames]))
def test_the_result_has_at_most_the_given_bytes(text: str, max_bytes: int, shorten: Callable[..., str]) -> None:
    shortened = shorten(text, max_bytes=max_bytes)
    assert len(shortened.encode()) <= max_bytes
    assert shortened == text or len(text.encode()) > max_bytes


def test_an_ellipsis_marks_where_a_text_was_truncated() -> None:
    assert truncated("ab" * 50, max_bytes=10) == "abababa…"
    assert truncated("é" * 50, max_bytes=10) == "ééé…"
    assert truncated("ab", max_bytes=2) == "ab"


def failing(depth: int, message: str) -> None:
    """Raise below that many calls; every second one is of another function, so that Python does not fold them."""
    if not depth:
        raise ValueError(message)
    between(depth - 1, message)


def between(depth: int, message: str) -> None:
    if not depth:
        raise ValueError(message)
    failing(depth - 1, message)


def raised(depth: int, message: str) -> str:
    try:
        failing(depth, message)
    except ValueError as error:
        return "".join(traceback.format_exception(error))
    raise AssertionError("it raises")


@pytest.mark.parametrize("message", ["no seat", "no seat " * 1000], ids=["short message", "long message"])
def test_the_line_that_raised_and_its_exception_are_kept(message: str) -> None:
    full = raised(60, message)
    shortened = innermost_frames(full, max_bytes=2048)
    lines = shortened.splitlines()
    assert len(shortened.encode()) <= 2048 < len(full.encode())
    assert lines[0].startswith("Traceback (most recent call last; the innermost ")
    assert lines[0].endswith(" of 62 frames):")
    assert "    raise ValueError(message)" in lines
    assert lines[-1].startswith("ValueError: no seat")
    number = int(lines[0].split()[7])
    assert number == sum(line.lstrip().startswith("File ") for line in lines)
    assert number >= 5


def test_of_chained_exceptions_the_last_one_is_kept() -> None:
    try:
        try:
            failing(40, "first")
        except ValueError as first:
            raise LookupError("second") from first
    except LookupError as error:
        shortened = innermost_frames("".join(traceback.format_exception(error)), max_bytes=1024)
    assert "\nThe above exception was the direct cause of the following exception:\n" in shortened
    assert 'raise LookupError("second") from first' in shortened
    assert shortened.endswith("LookupError: second\n")


def test_of_an_exception_group_the_end_is_kept() -> None:
    try:
        failing(40, "in the group")
    except ValueError as first:
        group = ExceptionGroup("several", [first])
    shortened = innermost_frames("".join(traceback.format_exception(group)), max_bytes=1024)
    assert "raise ValueError(message)" in shortened
    assert "ValueError: in the group" in shortened


def test_a_text_without_frames_keeps_its_start() -> None:
    assert innermost_frames("no traceback " * 100, max_bytes=20) == "no traceback no t…"


def test_a_frame_that_is_too_long_keeps_its_place() -> None:
    shortened = innermost_frames(
        'Traceback:\n  File "a.py", line 1, in f\n    ' + "x" * 5000 + "\nError: e", max_bytes=300
    )
    assert '  File "a.py", line 1, in f' in shortened
    assert shortened.endswith("Error: e")


@given(texts)
def test_the_size_is_that_of_utf_8(text: str) -> None:
    assert size_bytes(text) == len(text.encode())
