"""Grafana's provisioning for a service: where its boards and data sources are."""

from typing import Any, Final

from prometheus.slo import Objectives

BOARDS_PATH: Final = "/var/lib/grafana/dashboards"
"""In the container of Grafana."""


def provisioning(objectives: Objectives) -> dict[str, dict[str, Any]]:
    """Return the documents by their path in Grafana's folder of provisioning."""
    name = objectives.board_prefix
    provider = {
        "name": name,
        "type": "file",
        "folder": name,
        "folderUid": name,
        "disableDeletion": True,
        "allowUiUpdates": False,
        "options": {"path": BOARDS_PATH},
    }
    sources = [
        _source("Prometheus", "prometheus", "http://prometheus:9090")
        | {
            "isDefault": True,
            "jsonData": {"httpMethod": "POST", "timeInterval": "15s", "alertmanagerUid": "alertmanager"},
        },
        _source("Alertmanager", "alertmanager", "http://alertmanager:9093")
        | {"jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}},
    ]
    return {
        "dashboards/dashboards.yaml": {"apiVersion": 1, "providers": [provider]},
        "datasources/datasources.yaml": {"apiVersion": 1, "datasources": sources},
    }


def _source(name: str, kind: str, url: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "uid": kind, "access": "proxy", "url": url, "editable": False}
