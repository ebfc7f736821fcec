"""What can go wrong with a drill, beside what is meant to.

DrillError
├── MissingProgram   a server that the drill needs is not installed
├── ProcessFailed    a process of the drill ended, or was not ready in time
├── StackNotUp       a service of the compose stack does not run
└── NotSeen          an alert did not do in time what the drill waits for
"""


class DrillError(RuntimeError):
    """A drill could not be run to its end."""


class MissingProgram(DrillError):
    """A server that the drill needs is not installed."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed; on Debian: apt-get install {package}")


class ProcessFailed(DrillError):
    """A process of the drill ended, or was not ready in time."""

    def __init__(self, name: str, what: str, log: str) -> None:
        super().__init__(f"{name} {what}; the end of its log:\n{log.strip() or '(empty)'}")


class StackNotUp(DrillError):
    """A service of the compose stack does not run."""

    def __init__(self, service: str, what: str) -> None:
        super().__init__(f"{service} {what}; start the stack and wait until it is healthy: docker compose up -d --wait")


class NotSeen(DrillError):
    """An alert did not do in time what the drill waits for."""

    def __init__(self, what: str, *, waited_s: float, seen: str) -> None:
        super().__init__(f"{what} was not seen within {waited_s:.0f} s; seen so far: {seen or 'nothing'}")
