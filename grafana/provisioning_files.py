"""Grafana's provisioning for a service: where its boards and data sources are."""

from typing import Any, Final

import yaml

from prometheus.generated import ROOT
from prometheus.presence import presence
from prometheus.scope import Scope
from prometheus.slo import Objectives

Json = dict[str, Any]

BOARDS_PATH: Final = "/var/lib/grafana/dashboards"
"""In the container of Grafana."""
PROVISIONING_PATH: Final = "/etc/grafana/provisioning/dashboards"
COMMITTED: Final = ROOT / "grafana/provisioning/datasources/datasources.yaml"


def provisioning(objectives: Objectives, *, with_traces: bool = False) -> dict[str, Json]:
    """Return the documents by their path in Grafana's folder of provisioning.

    `with_traces` adds Tempo, Loki, and the board of one trace, to which exemplars and log lines link.
    """
    name = objectives.board_prefix
    providers = [_provider(name, name, BOARDS_PATH)]
    sources = [
        _source("Prometheus", "prometheus", "http://prometheus:9090")
        | {
            "isDefault": True,
            "jsonData": {"httpMethod": "POST", "timeInterval": "15s", "alertmanagerUid": "alertmanager"},
        },
        _source("Alertmanager", "alertmanager", "http://alertmanager:9093")
        | {"jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}},
    ]
    if with_traces:
        providers.append(_provider(f"{name}-trace", name, PROVISIONING_PATH))
        sources = _linked_sources(objectives)
    return {
        "dashboards/dashboards.yaml": {"apiVersion": 1, "providers": providers},
        "datasources/datasources.yaml": {"apiVersion": 1, "datasources": sources},
    }


def _provider(name: str, folder: str, path: str) -> Json:
    return {
        "name": name,
        "type": "file",
        "folder": folder,
        "folderUid": folder,
        "disableDeletion": True,
        "allowUiUpdates": False,
        "options": {"path": path},
    }


def _source(name: str, kind: str, url: str) -> Json:
    return {"name": name, "type": kind, "uid": kind, "access": "proxy", "url": url, "editable": False}


def _linked_sources(objectives: Objectives) -> list[Json]:
    """Return the data sources of the flights service, which link metrics, traces and logs, for another one."""
    sources: list[Json] = yaml.safe_load(Scope(objectives).text(COMMITTED.read_text("utf-8")))["datasources"]
    for source in sources:
        if "tracesToMetrics" in source["jsonData"]:
            links = source["jsonData"]["tracesToMetrics"]
            links["queries"] = [
                query | {"query": expression}
                for query in links["queries"]
                if (expression := _of_the_job(query["query"], objectives))
            ]
            links["tags"] = []
    return sources


def _of_the_job(query: str, objectives: Objectives) -> str:
    """Return the query with the job in place of the span's tags, or an empty text if the service has no data for it."""
    expression = query.replace("$$", "$").replace("$__tags, ", "").replace("$__tags", "")
    if not presence(objectives).has_data(expression):
        return ""
    return Scope(objectives).expression(expression).replace("$", "$$")
