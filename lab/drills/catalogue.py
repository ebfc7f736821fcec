"""Every drill by its name."""

from typing import Final

from lab.drills.faults.cache import CACHE_DRILLS
from lab.drills.faults.database import DATABASE_DRILLS
from lab.drills.faults.monitoring import MONITORING_DRILLS
from lab.drills.faults.process import PROCESS_DRILLS
from lab.drills.faults.replica import REPLICA_DRILLS
from lab.drills.faults.task import TASK_DRILLS
from lab.drills.faults.telemetry import TELEMETRY_DRILLS
from lab.drills.faults.third_party import STRANGER_DRILLS
from lab.drills.faults.upstream import UPSTREAM_DRILLS
from lab.drills.run.drill import Drill

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
