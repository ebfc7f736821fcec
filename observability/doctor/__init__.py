"""The doctor: finds problems of a service's telemetry, from outside and inside, and says how to fix them.

A check is a function in `metrics_checks` (a running service) or `application_checks` (an application in this process).
"""

from collections.abc import Sequence

from observability.doctor.application import NotAnApplication, load, served
from observability.doctor.application_checks import APPLICATION_CHECKS
from observability.doctor.check import Check, CouldNotLook, Result, exit_code
from observability.doctor.metrics_checks import SERVICE_CHECKS
from observability.doctor.service import SLO_THRESHOLDS_S, Service, Unreachable

__all__ = [
    "APPLICATION_CHECKS",
    "SERVICE_CHECKS",
    "Check",
    "CouldNotLook",
    "NotAnApplication",
    "Result",
    "Unreachable",
    "exit_code",
    "run_checks",
]


def run_checks(
    target: str, *, metrics_url: str | None = None, slo_thresholds_s: Sequence[float] = SLO_THRESHOLDS_S
) -> list[Result]:
    """Return the result of every check of a running service (a URL) or of an application (`module:application`).

    A running service gets some harmless requests: to its start page, to unknown paths, with an unknown method and host.
    An application is imported and served on loopback, which runs its lifespan, and is inspected from inside too. Raise
    `Unreachable` or `NotAnApplication`.
    """
    if "://" in target:
        with Service(target, metrics_url=metrics_url, slo_thresholds_s=slo_thresholds_s) as service:
            return _outside(service)
    with served(load(target)) as application:
        with Service(
            application.url,
            metrics_url=metrics_url or application.metrics_url,
            slo_thresholds_s=slo_thresholds_s,
            is_in_process=metrics_url is None,
        ) as service:
            outside = _outside(service)
        return outside + [check.result(application) for check in APPLICATION_CHECKS]


def _outside(service: Service) -> list[Result]:
    service.responses  # noqa: B018 a service that does not respond ends all checks
    return [check.result(service) for check in SERVICE_CHECKS]
