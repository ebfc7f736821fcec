"""Why a drill did not complete.

DrillError
├── MissingExecutable    a server that the drill needs is not installed
├── ProcessFailed        a process of the drill exited, or was not ready in time
├── StackNotUp           a service of the compose stack is not running
├── ObservationTimeout   an alert did not reach the expected state in time
└── CauseNotNamed        the notification of an alert does not name its cause
"""


class DrillError(RuntimeError):
    """A drill could not complete."""


class MissingExecutable(DrillError):
    def __init__(self, name: str, package: str) -> None:
        super().__init__(f"{name} is not installed; on Debian: apt-get install {package}")


class ProcessFailed(DrillError):
    def __init__(self, name: str, what: str, log: str) -> None:
        super().__init__(f"{name} {what}; the end of its log:\n{log.strip() or '(empty)'}")


class StackNotUp(DrillError):
    def __init__(self, service: str, what: str) -> None:
        super().__init__(f"{service} {what}; start the stack and wait until it is healthy: docker compose up -d --wait")


class ObservationTimeout(DrillError):
    def __init__(self, what: str, *, waited_s: float, seen: str) -> None:
        super().__init__(f"{what} was not seen within {waited_s:.0f} s; seen so far: {seen or 'nothing'}")


class CauseNotNamed(DrillError):
    def __init__(self, alert: str, *, cause: str, description: str) -> None:
        super().__init__(f"the notification of {alert} does not contain {cause!r}: {description or '(no description)'}")
