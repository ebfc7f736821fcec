"""Graceful shutdown: readiness fails first, requests are still served, then the socket closes."""

from service.errors import NotReady


class ShutdownState:
    """Whether the process is draining."""

    def __init__(self) -> None:
        self.is_draining = False

    def begin(self) -> None:
        self.is_draining = True

    async def check(self) -> None:
        """Raise `NotReady` while the process is draining."""
        if self.is_draining:
            raise NotReady({"process": "shutting down: draining remaining requests"})
