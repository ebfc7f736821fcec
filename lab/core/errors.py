"""What can go wrong in the lab, as one tree.

LabError
├── UnknownExperiment   a name that the lab has no experiment or sweep for
├── ArmFailed           an arm did not start, or its process ended during a measurement
├── NotProfiled         py-spy is missing or not permitted; the run goes on without profiles
├── NoDistance          no server that the arms reach over the network
├── NotInstrumented     an address without the metrics of an instrumented service
├── OpenSloError        objectives in OpenSLO that slo.toml has no place for, or the other way round
├── NotReachable        a Prometheus or Grafana that does not respond as it should
├── BadTarget           a URL, request or result file that cannot be used
└── BadSetting          a variable or option with an invalid value
"""

from collections.abc import Collection


class LabError(Exception):
    """An error that the user can act on; the message says how."""


class UnknownExperiment(LabError):
    def __init__(self, names: Collection[str], known: Collection[str], *, kind: str = "experiment") -> None:
        super().__init__(f"no {kind} named {', '.join(sorted(names))}; there are: {', '.join(known)}")


class ArmFailed(LabError):
    def __init__(self, arm: str, what: str, log: str | None) -> None:
        """`log` is None for a service that the lab did not start."""
        self.arm = arm
        if log is None:
            super().__init__(f"{arm} {what}")
            return
        tail = "\n".join(f"    {line}" for line in log.strip().splitlines()[-12:]) or "    (its log is empty)"
        super().__init__(f"arm {arm} {what}; the end of its log:\n{tail}")


class NotProfiled(LabError):
    """Why there is no profile of an arm."""


class NoDistance(LabError):
    """No server that the arms reach over the network, so that a distance changes nothing."""


class BadTarget(LabError):
    """A URL, request or result file that cannot be used."""


class BadSetting(LabError):
    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"{name}: {value!r} is not {allowed}")
