"""The lag of a replica behind its primary."""

from collections import deque
from collections.abc import Callable
from typing import Final

MAX_SAMPLES: Final = 10_000
"""Positions kept while the replica does not catch up; beyond that the newest replaces the one before it."""


class ReplicationLag:
    """Compares positions of two write-ahead logs, in bytes from their start, on the clock of this process.

    The usual `now() - pg_last_xact_replay_timestamp()` grows while nothing is written and compares two clocks, and a
    replica that lost its primary has replayed all that it received. This lag is the age of the oldest position of the
    primary that the replica has not replayed.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pending: deque[tuple[float, int]] = deque()
        self.written = 0
        """The newest known position of the primary."""
        self.replayed = 0
        """The newest known position of the replica."""

    def primary_is_at(self, position: int) -> None:
        """Record the current position of the primary."""
        if position > max(self.written, self.replayed):
            if len(self._pending) == MAX_SAMPLES:
                self._pending.pop()
            self._pending.append((self._clock(), position))
        self.written = position

    def replica_is_at(self, position: int) -> None:
        """Record the current position of the replica."""
        self.replayed = position
        while self._pending and self._pending[0][1] <= position:
            self._pending.popleft()

    @property
    def seconds(self) -> float:
        return self._clock() - self._pending[0][0] if self._pending else 0.0
