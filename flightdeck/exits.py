"""How a command ends early: one sentence on standard error, and an exit code.

1: the work failed, or its result is not valid. 2: an argument, a setting or the data it needs is wrong or missing.
3: a condition of `--fail-if` holds, or a canary failed. 4: a canary is undecided. 130: interrupted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer


def fail(message: str, *, code: int = 2) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


@contextmanager
def failing_on(*errors: type[Exception], code: int = 2) -> Iterator[None]:
    """Print these errors as one sentence instead of a traceback, and exit with the code."""
    try:
        yield
    except errors as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code) from error


def exit_unless_measured(*, is_interrupted: bool, is_empty: bool) -> None:
    """Exit with 130 after an interrupted run, with 1 after one that measured nothing."""
    if is_interrupted:
        raise typer.Exit(130)
    if is_empty:
        raise typer.Exit(1)
