import io
import os
import pty

from rich.console import Console

from flightdeck.load_progress import Bars, Lines, shown_on


def test_lines_say_every_hundred_thousand_rows_and_the_end() -> None:
    stream = io.StringIO()
    with Lines(stream) as lines:
        lines.step("flights", 250_000)
        for _ in range(5):
            lines.advance(50_000)
    assert (
        stream.getvalue() == "flights: 100,000 of 250,000\nflights: 200,000 of 250,000\nflights: 250,000 of 250,000\n"
    )


def test_bars_show_the_step_and_what_is_said() -> None:
    stream = io.StringIO()
    with Bars(Console(file=stream, force_terminal=True, width=80)) as bars:
        bars.say("another load is filling [data]: waiting for it")
        bars.step("flights", 10)
        bars.advance(10)
    shown = stream.getvalue()
    assert "another load is filling [data]: waiting for it" in shown
    assert "flights" in shown
    assert "10/10" in shown


def test_a_terminal_gets_bars_and_a_pipe_gets_lines() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        assert isinstance(shown_on(terminal), Bars)
    os.close(ours)
    assert isinstance(shown_on(io.StringIO()), Lines)
