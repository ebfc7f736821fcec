"""The optional parts of this distribution, and what to install where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

DISTRIBUTION: Final = "flightdeck-observability"


class MissingExtra(ImportError):
    """A package that is needed is not installed; the message names the command that installs it."""

    def __init__(self, extra: str, *, needed_for: str, module: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {module!r}, which is not installed: pip install '{DISTRIBUTION}[{extra}]'",
            name=module,
        )


@contextmanager
def requires(extra: str, *, needed_for: str) -> Iterator[None]:
    """Raise `MissingExtra` if an import in the block fails because a package of this extra is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module == "observability":
            raise
        raise MissingExtra(extra, needed_for=needed_for, module=error.name or module) from error
