"""Stopping in order: readiness goes first, requests go on, and only then does the process listen no more."""

from service.errors import NotReady


class ShutdownState:
    """Whether the process was told to stop."""

    def __init__(self) -> None:
        self.is_draining = False

    def begin(self) -> None:
        """Say from now on that no further traffic is wanted."""
        self.is_draining = True

    async def check(self) -> None:
        """Raise `NotReady` once the process was told to stop."""
        if self.is_draining:
            raise NotReady({"process": "was told to stop, and serves what still comes"})
