"""Every alert, by concern: symptoms are critical, causes are warnings."""

from collections.abc import Iterator

from prometheus.burn_rate import burn_alerts
from prometheus.catalogue.cache import cache_alerts
from prometheus.catalogue.database import database_alerts
from prometheus.catalogue.http import http_alerts
from prometheus.catalogue.monitoring import monitoring_alerts
from prometheus.catalogue.runtime import runtime_alerts
from prometheus.catalogue.symptoms import symptom_alerts
from prometheus.catalogue.tasks import task_alerts
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives


def alert_files(objectives: Objectives) -> dict[str, list[Group]]:
    """Return the groups of alerts by the name of their file."""
    return {
        "budget": [burn_alerts(objectives)],
        "symptoms": [symptom_alerts(objectives)],
        "http": [http_alerts(objectives)],
        "database": [database_alerts(objectives)],
        "cache": [cache_alerts(objectives)],
        "tasks": [task_alerts(objectives)],
        "runtime": [runtime_alerts(objectives)],
        "monitoring": [monitoring_alerts(objectives)],
    }


def every_alert(objectives: Objectives) -> Iterator[Alert]:
    """Yield the alerts in the order of the files."""
    for groups in alert_files(objectives).values():
        for group in groups:
            yield from (rule for rule in group.rules if isinstance(rule, Alert))
