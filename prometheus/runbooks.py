"""The runbooks of a service's alerts, with queries about its own job."""

import re
from typing import Final

from prometheus.catalogue import every_alert
from prometheus.generated import ROOT
from prometheus.presence import presence
from prometheus.scope import Scope
from prometheus.slo import Objectives

FOLDER: Final = "runbooks"
SOURCE: Final = ROOT / "docs/runbooks"

_QUERY: Final = re.compile(r"(```promql\n)(.*?)(```)", re.DOTALL)
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


def runbook_texts(objectives: Objectives) -> dict[str, str]:
    """Return the runbook of every alert that the service has, by its path."""
    present, scope = presence(objectives), Scope(objectives)
    alerts = {alert.runbook: alert for alert in every_alert(objectives) if present.has_data(alert.expr)}
    texts = {}
    for name, alert in alerts.items():
        text = (SOURCE / f"{name}.md").read_text("utf-8").replace('job="service"', objectives.slo_jobs)
        text = text.replace(f"# {alert.name}", f"# {objectives.alert_prefix}{alert.name}", 1)
        text = _QUERY.sub(lambda found: found[1] + scope.expression(found[2]) + found[3], text)
        texts[f"{FOLDER}/{name}.md"] = _LINK.sub(lambda found: _link(found, set(alerts)), text)
    return texts


def queries(page: str) -> list[str]:
    """Return the queries of a runbook, without the indentation of its list."""
    return ["\n".join(line.strip() for line in found[2].strip().splitlines()) for found in _QUERY.finditer(page)]


def _link(found: re.Match[str], kept: set[str]) -> str:
    """Keep the links to runbooks that are there; of the others the text."""
    return found[0] if found[2].removesuffix(".md") in kept else found[1]
