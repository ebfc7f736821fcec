"""Every drill by its name: embedded, and on the compose stack. The same fault has the same name in both."""

from typing import Final

from lab.drills.faults.cache import CACHE_DRILLS
from lab.drills.faults.database import DATABASE_DRILLS
from lab.drills.faults.monitoring import MONITORING_DRILLS
from lab.drills.faults.process import PROCESS_DRILLS
from lab.drills.faults.task import TASK_DRILLS
from lab.drills.faults.telemetry import TELEMETRY_DRILLS
from lab.drills.faults.third_party import THIRD_PARTY_DRILLS
from lab.drills.faults.upstream import UPSTREAM_DRILLS
from lab.drills.run.drill import ComposeDrill, Drill

DRILLS: Final[dict[str, Drill]] = {
    drill.name: drill
    for drill in (
        *PROCESS_DRILLS,
        *DATABASE_DRILLS,
        *CACHE_DRILLS,
        *THIRD_PARTY_DRILLS,
        *UPSTREAM_DRILLS,
        *TASK_DRILLS,
        *TELEMETRY_DRILLS,
        *MONITORING_DRILLS,
    )
}

COMPOSE_DRILLS: Final[dict[str, ComposeDrill]] = {
    drill.name: drill
    for drill in (
        ComposeDrill(
            name="service-down",
            # A stopped container would leave the DNS by which Prometheus discovers it.
            description="the containers of `optimized` are paused: they stay in DNS and do not respond",
            service="optimized",
            fault="pause",
            alerts=("ServiceDown",),
        ),
        ComposeDrill(
            name="no-targets",
            description="the containers of `optimized` are stopped, and leave DNS",
            service="optimized",
            alerts=("ServiceMissing",),
        ),
        ComposeDrill(
            name="target-down",
            description="the container of `compression` is stopped",
            service="compression",
            arm="compression",
            require_arm=True,
            alerts=("TargetDown",),
        ),
        ComposeDrill(name="redis-stopped", description="Redis is stopped", service="redis", alerts=("CacheDown",)),
        ComposeDrill(
            name="replica-killed", description="the replica is stopped", service="replica", alerts=("ReplicaDown",)
        ),
        ComposeDrill(
            name="upstream-failing",
            description="the weather upstream is stopped",
            service="upstream",
            alerts=("UpstreamFailing",),
        ),
        ComposeDrill(
            name="worker-killed",
            description="the worker is stopped while the traffic requests exports",
            service="worker",
            alerts=("WorkersMissing",),
        ),
        ComposeDrill(
            name="collector-down",
            description="the OpenTelemetry Collector is stopped",
            service="collector",
            alerts=("TelemetryDropped",),
        ),
        ComposeDrill(
            name="tempo-down",
            description="Tempo is stopped; the collector retries for a minute, and then drops spans",
            service="tempo",
            alerts=("CollectorExportsFailing",),
        ),
        ComposeDrill(
            name="alertmanager-killed",
            description="Alertmanager is stopped: the alert fires and cannot be delivered",
            service="alertmanager",
            alerts=("AlertmanagerMissing",),
            is_delivered=False,
        ),
    )
}
