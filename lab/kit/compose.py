"""The kit as an overlay for a compose file: Prometheus, Alertmanager, Grafana, Tempo, Loki and the collector.

The services and their configuration are those of the flights service's stack, with the files of the kit mounted. Paths
of an overlay are relative to the first compose file, so that the folder of the kit is a variable.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from prometheus.build import yaml_text
from prometheus.generated import ROOT
from prometheus.scope import Scope
from prometheus.slo import Objectives

Json = dict[str, Any]

FILE: Final = "compose.yaml"
FOLDER: Final = "${MONITORING_DIR:-./monitoring}"
SERVICES: Final = ("collector", "tempo", "loki", "prometheus", "alertmanager", "grafana")
CONFIGURATIONS: Final = ("collector/config.yaml", "tempo/tempo.yaml", "loki/loki.yaml")
"""Files that are copied from `deploy/`."""
MOUNTS: Final[Mapping[str, str]] = {
    **{f"./deploy/{path}": path for path in CONFIGURATIONS},
    "${PROMETHEUS_CONFIG}": "prometheus",
    "${PROMETHEUS_CONFIG}/alertmanager": "alertmanager",
    "./grafana/provisioning": "grafana/provisioning",
    "./grafana/dashboards": "grafana/dashboards",
}
"""The path in the kit of each file or folder that the services mount."""
TRACE_BOARD: Final = "grafana/provisioning/dashboards/trace.json"
_OF_FLIGHTS: Final = ("profiles", "depends_on", "attach")
_SECRETS: Final = "secrets"
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


def compose_texts(objectives: Objectives) -> dict[str, str]:
    """Return the overlay, and the configuration of what it adds to the kit, by their paths."""
    texts = {path: (ROOT / "deploy" / path).read_text("utf-8") for path in CONFIGURATIONS}
    slow_ms = f"threshold_ms: {min(objectives.thresholds_s()) * 1000:g}"
    texts["collector/config.yaml"] = re.sub(r"threshold_ms: \d+", slow_ms, texts["collector/config.yaml"])
    return {FILE: _with_defaults(yaml_text(_overlay())), TRACE_BOARD: _trace_board(objectives), **texts}


def _overlay() -> Json:
    committed = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    services = {name: _service(committed[name]) for name in SERVICES}
    services["grafana"]["environment"] |= {
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": "/var/lib/grafana/dashboards/service.json",
        "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",  # every viewer is anonymous: no password to choose
    }
    mounted = (volume for service in services.values() for volume in service["volumes"])
    volumes = sorted({source for source, _, _ in (one.partition(":") for one in mounted) if "$" not in source})
    return {"services": services, "volumes": dict.fromkeys(volumes)}


def _service(source: Json) -> Json:
    service = {name: value for name, value in source.items() if name not in _OF_FLIGHTS}
    service["volumes"] = list(_volumes(source["volumes"]))
    if "environment" in service:
        service["environment"] = {
            name: value for name, value in source["environment"].items() if not name.endswith("__FILE")
        }
    return service


def _volumes(volumes: list[str]) -> Iterator[str]:
    for volume in volumes:
        source, _, rest = volume.partition(":")
        if source in MOUNTS:
            yield f"{FOLDER}/{MOUNTS[source]}:{rest}"
        elif source != _SECRETS:
            yield f"monitoring-{source}:{rest}"


def _with_defaults(text: str) -> str:
    """Return the text whose variables have the values of the stack's `.env` as defaults."""
    lines = (ROOT / ".env").read_text("utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return _VARIABLE.sub(lambda found: f"${{{found[1]}:-{values[found[1]]}}}", text)


def _trace_board(objectives: Objectives) -> str:
    prefix = objectives.board_prefix
    board = json.loads(Scope(objectives).text((ROOT / TRACE_BOARD).read_text("utf-8")))
    board["tags"] = [prefix]
    board["links"] = [link | {"title": "Service", "url": f"/d/{prefix}-service"} for link in board["links"]]
    return json.dumps(board, indent=2, ensure_ascii=False) + "\n"
