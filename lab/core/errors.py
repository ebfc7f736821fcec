"""What can go wrong in the lab, as one tree.

LabError
├── UnknownExperiment   a name that the lab has no experiment or sweep for
├── ArmFailed           an arm did not start, or ended while it was measured
├── BadTarget           a URL or request line that cannot be driven
└── BadSetting          a variable or option with a value that it can not have
"""

from collections.abc import Collection


class LabError(Exception):
    """Something the person at the command line can act on; the message says how."""


class UnknownExperiment(LabError):
    """A name that the lab has no experiment or sweep for."""

    def __init__(self, names: Collection[str], known: Collection[str], *, kind: str = "experiment") -> None:
        super().__init__(f"no {kind} named {', '.join(sorted(names))}; there are: {', '.join(known)}")


class ArmFailed(LabError):
    """An arm did not start, or ended while it was measured."""

    def __init__(self, arm: str, what: str, log: str | None) -> None:
        """Take the end of its log, or None where it runs control and nobody here has one."""
        self.arm = arm
        if log is None:
            super().__init__(f"{arm} {what}")
            return
        tail = "\n".join(f"    {line}" for line in log.strip().splitlines()[-12:]) or "    (its log is empty)"
        super().__init__(f"arm {arm} {what}; the end of its log:\n{tail}")


class BadTarget(LabError):
    """A URL or request line that cannot be driven."""


class BadSetting(LabError):
    """A variable or option with a value that it can not have."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"{name}: {value!r} is not {allowed}")
