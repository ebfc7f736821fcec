"""How far a replica is behind its primary."""

from collections import deque
from collections.abc import Callable
from typing import Final

MAX_SAMPLES: Final = 10_000
"""Positions kept of a replica that does not catch up; older ones are merged into the oldest."""


class ReplicationLag:
    """Compares positions of two write-ahead logs, in bytes from their start, on one clock.

    The usual `now() - pg_last_xact_replay_timestamp()` grows while nobody writes, and compares two clocks; a replica
    that lost its primary has replayed all that it received. Here the lag is the age of the oldest position of the
    primary that the replica has not reached, as seen from this process.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._unreached: deque[tuple[float, int]] = deque()
        self.written = 0
        """The newest known position of the primary."""
        self.replayed = 0
        """The newest known position of the replica."""

    def primary_is_at(self, position: int) -> None:
        """Take a position of the primary as of now."""
        if position > max(self.written, self.replayed):
            if len(self._unreached) == MAX_SAMPLES:
                self._unreached.pop()
            self._unreached.append((self._clock(), position))
        self.written = position

    def replica_is_at(self, position: int) -> None:
        """Take a position of the replica as of now."""
        self.replayed = position
        while self._unreached and self._unreached[0][1] <= position:
            self._unreached.popleft()

    @property
    def seconds(self) -> float:
        """The age of the oldest position that the replica has not reached."""
        return self._clock() - self._unreached[0][0] if self._unreached else 0.0
