"""Every drill by its name."""

from typing import Final

from lab.drills.cache_faults import CACHE_DRILLS
from lab.drills.database_faults import DATABASE_DRILLS
from lab.drills.drill import Drill
from lab.drills.monitoring_faults import MONITORING_DRILLS
from lab.drills.process_faults import PROCESS_DRILLS
from lab.drills.replica_faults import REPLICA_DRILLS
from lab.drills.stranger_faults import STRANGER_DRILLS
from lab.drills.task_faults import TASK_DRILLS
from lab.drills.telemetry_faults import TELEMETRY_DRILLS
from lab.drills.upstream_faults import UPSTREAM_DRILLS

DRILLS: Final[dict[str, Drill]] = {
    drill.name: drill
    for drill in (
        *PROCESS_DRILLS,
        *DATABASE_DRILLS,
        *REPLICA_DRILLS,
        *CACHE_DRILLS,
        *STRANGER_DRILLS,
        *UPSTREAM_DRILLS,
        *TASK_DRILLS,
        *TELEMETRY_DRILLS,
        *MONITORING_DRILLS,
    )
}
