"""The drills that the compose stack knows, by their names; where the fault is the same, the name is too."""

from dataclasses import dataclass
from typing import Final

from lab.drills.environments.compose import Break
from lab.drills.run.drill import Expectation

PROMISED: Final = "optimized"
"""The arm that alerts are about."""


@dataclass(frozen=True, kw_only=True)
class ComposeDrill(Expectation):
    """A container that is taken away for a while."""

    service: str
    how: Break = "stop"
    arm: str = PROMISED
    """The arm that the alerts name, where they name one."""
    names_arm: bool = False
    """Whether they always do: then those about another part of the stack do not count."""


COMPOSE_DRILLS: Final[dict[str, ComposeDrill]] = {
    drill.name: drill
    for drill in (
        ComposeDrill(
            name="service-down",
            # Stopped, it would leave the DNS by which Prometheus finds it.
            breaks="the containers of `optimized` are paused: they are there and answer nobody",
            service="optimized",
            how="pause",
            alerts=("ServiceDown",),
        ),
        ComposeDrill(
            name="no-targets",
            breaks="the containers of `optimized` are stopped, and the DNS forgets them",
            service="optimized",
            alerts=("ServiceMissing",),
        ),
        ComposeDrill(
            name="target-down",
            breaks="the container of `compression` is stopped",
            service="compression",
            arm="compression",
            names_arm=True,
            alerts=("TargetDown",),
        ),
        ComposeDrill(name="redis-stopped", breaks="Redis is stopped", service="redis", alerts=("CacheDown",)),
        ComposeDrill(
            name="replica-killed", breaks="the replica is stopped", service="replica", alerts=("ReplicaDown",)
        ),
        ComposeDrill(
            name="upstream-failing",
            breaks="the weather upstream is stopped",
            service="upstream",
            alerts=("UpstreamFailing",),
        ),
        ComposeDrill(
            name="worker-killed",
            breaks="the worker is stopped while the traffic asks for exports",
            service="worker",
            alerts=("WorkersMissing",),
        ),
        ComposeDrill(
            name="collector-down",
            breaks="the collector of spans is stopped",
            service="collector",
            alerts=("TelemetryDropped",),
        ),
        ComposeDrill(
            name="alertmanager-killed",
            breaks="Alertmanager is stopped; Prometheus says so, and nobody can be told",
            service="alertmanager",
            alerts=("AlertmanagerMissing",),
            is_heard=False,
        ),
    )
}
