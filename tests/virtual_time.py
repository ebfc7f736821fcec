"""An event loop whose time passes at once where nothing but timers is left, for tests that wait for nothing else."""

import asyncio
import selectors
from collections.abc import Callable


class _Skipping(selectors.DefaultSelector):
    """Lets the time pass that the loop would wait."""

    def __init__(self, skip: Callable[[float], None]) -> None:
        super().__init__()
        self._skip = skip

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout else timeout)
        if timeout and not ready:
            self._skip(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while code runs, however busy the machine is; `skip` moves it.

    Not for tests with sockets, threads or processes: their work would take no time, and every timeout pass before it.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_Skipping(self.skip))

    def time(self) -> float:
        return self._now

    def skip(self, seconds: float) -> None:
        """Let this time pass, for timers and for code that reads the clock, without running anything."""
        self._now += seconds
