"""The doctor: finds problems of a service's telemetry, from outside and inside, and says how to fix them.

A check is a function in `metrics_checks` (a running service) or `application_checks` (an application in this process).
"""

from collections.abc import Sequence

from observability.doctor.application import NotAnApplication, load, served
from observability.doctor.application_checks import APPLICATION_CHECKS
from observability.doctor.check import Check, Finding
from observability.doctor.metrics_checks import SERVICE_CHECKS
from observability.doctor.service import SLO_THRESHOLDS_S, Service, Unreachable

__all__ = [
    "APPLICATION_CHECKS",
    "SERVICE_CHECKS",
    "Check",
    "Finding",
    "NotAnApplication",
    "Unreachable",
    "run_checks",
]


def run_checks(
    target: str, *, metrics_url: str | None = None, slo_thresholds_s: Sequence[float] = SLO_THRESHOLDS_S
) -> list[Finding]:
    """Return the problems of a running service (a URL) or of an application (`module:application`).

    A running service gets some harmless requests: to its start page, to unknown paths, with an unknown method and host.
    An application is imported and served on loopback, which runs its lifespan, and is inspected from inside too. Raise
    `Unreachable` or `NotAnApplication`.
    """
    if target.startswith(("http://", "https://")):
        with Service(target, metrics_url=metrics_url, slo_thresholds_s=slo_thresholds_s) as service:
            return [finding for check in SERVICE_CHECKS for finding in check.findings(service)]
    with served(load(target)) as application:
        metrics_url = metrics_url or application.metrics_url
        with Service(application.url, metrics_url=metrics_url, slo_thresholds_s=slo_thresholds_s) as service:
            outside = [finding for check in SERVICE_CHECKS for finding in check.findings(service)]
        return outside + [finding for check in APPLICATION_CHECKS for finding in check.findings(application)]
