"""One deadline that several steps share."""

from time import monotonic
from typing import Final

_LEAST_S: Final = 0.05
"""What a step gets that comes after the deadline: enough for what needs no network."""


class Deadline:
    """A moment so many seconds from now; what earlier steps took is not there for later ones."""

    def __init__(self, seconds: float) -> None:
        self._moment = monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds until then, and a little more than nothing afterwards."""
        return max(_LEAST_S, self._moment - monotonic())
