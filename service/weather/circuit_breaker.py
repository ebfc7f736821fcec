"""A circuit breaker for async calls: purgatory's state machine, with one trial at a time."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from purgatory.domain.messages.events import ContextChanged
from purgatory.domain.model import HALF_OPENED, OPENED, Context, OpenedState


class CircuitOpen(Exception):
    """The circuit is open after repeated failures of the upstream, so no call is made."""

    def __init__(self, name: str, *, retry_after_s: int) -> None:
        super().__init__(f"the circuit of {name} is open; the next trial is in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class CircuitBreaker:
    """Open after `threshold` consecutive failures; after `reset_s` seconds let one call through as a trial.

    Only purgatory's state machine is used: its context manager counts a cancelled call as a failure, lets every
    concurrent call through as a trial, and reports its state through a message bus.
    """

    def __init__(self, name: str, *, threshold: int, reset_s: float, on_change: Callable[[str], None]) -> None:
        self._name = name
        self._reset_s = reset_s
        self._context = Context(name, threshold, reset_s)
        self._on_change = on_change
        self._trial_in_progress = False

    @property
    def state(self) -> str:
        """`closed`, `opened` or `half-opened`."""
        return self._context.state

    def retry_after_s(self) -> int:
        """Return the whole seconds until the next trial, at least 1."""
        opened_at = self._context.opened_at
        if self.state != OPENED or opened_at is None:
            return 1
        return max(1, math.ceil(opened_at + self._reset_s - time.time()))  # purgatory's own clock

    @contextmanager
    def attempt(self, failures: tuple[type[Exception], ...]) -> Iterator[None]:
        """Run the block as one call, or raise `CircuitOpen`; only exceptions of the types in `failures` count."""
        if self._trial_in_progress:
            raise CircuitOpen(self._name, retry_after_s=1)
        try:
            self._context.handle_new_request()
        except OpenedState:
            raise CircuitOpen(self._name, retry_after_s=self.retry_after_s()) from None
        self._report()
        trial = self.state == HALF_OPENED
        self._trial_in_progress = trial
        try:
            yield
        except failures as error:
            self._context.handle_exception(error)
            raise
        else:
            self._context.handle_end_request()
        finally:
            if trial:
                self._trial_in_progress = False
            self._report()

    def _report(self) -> None:
        messages, self._context.messages = self._context.messages, []
        for message in messages:
            if isinstance(message, ContextChanged):
                self._on_change(message.state)
