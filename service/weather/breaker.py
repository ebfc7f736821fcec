"""A circuit breaker for an awaited call: purgatory's states, one trial at a time, blind to cancelled requests."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from purgatory.domain.messages.events import ContextChanged
from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, Context, OpenedState


class CircuitOpen(Exception):
    """The circuit is open: the upstream failed so often that it is left alone for a while."""

    def __init__(self, name: str, *, retry_after_s: int) -> None:
        super().__init__(f"the circuit of {name} is open; a trial follows in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Breaker:
    """Let calls through until `threshold` fail in a row; then none for `reset_s` seconds; then one as a trial.

    purgatory's own context manager takes a cancelled request for a failure, lets every waiting request through as a
    trial, and needs a message bus to tell its state. Its state machine underneath is what is kept here.
    """

    def __init__(self, name: str, *, threshold: int, reset_s: float, on_change: Callable[[str], None]) -> None:
        self._name = name
        self._reset_s = reset_s
        self._context = Context(name, threshold, reset_s)
        self._on_change = on_change
        self._trial_runs = False

    @property
    def state(self) -> str:
        """Return `closed`, `opened` or `half-opened`."""
        return self._context.state

    def retry_after_s(self) -> int:
        """Return the whole seconds until the next trial, at least 1."""
        opened_at = self._context.opened_at
        if self.state != OPENED or opened_at is None:
            return 1
        return max(1, math.ceil(opened_at + self._reset_s - time.time()))  # purgatory's own clock

    @contextmanager
    def attempt(self, failures: tuple[type[Exception], ...]) -> Iterator[None]:
        """Run a block as one call; raise `CircuitOpen` instead when none may be made. Only `failures` count as such."""
        if self._trial_runs:
            raise CircuitOpen(self._name, retry_after_s=1)
        try:
            self._context.handle_new_request()
        except OpenedState:
            raise CircuitOpen(self._name, retry_after_s=self.retry_after_s()) from None
        self._report()
        trial = self.state == HALF_OPENED
        self._trial_runs = trial
        try:
            yield
        except failures as error:
            self._context.handle_exception(error)
            raise
        else:
            self._context.handle_end_request()
        finally:
            if trial:
                self._trial_runs = False
            self._report()

    def _report(self) -> None:
        messages, self._context.messages = self._context.messages, []
        for message in messages:
            if isinstance(message, ContextChanged):
                self._on_change(message.state)


__all__ = ["CLOSED", "HALF_OPENED", "OPENED", "Breaker", "CircuitOpen"]
