"""The overlay of the kit over a third-party compose file: what Compose makes of both, and what the services mount."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from lab.kit.build import Extras, kit_files, write
from lab.kit.compose import SERVICES as ADDED
from prometheus.duration import REAL
from prometheus.expression import VARIABLE
from prometheus.slo import Objectives
from tests.deploy.stack_files import environment, schema, services
from tests.lab.kit.services import GATEWAY, ORDERS, described

THEIRS = """
services:
  shop:
    image: example/shop:1
    environment: {OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318", OTEL_EXPORTER_PROMETHEUS_HOST: 0.0.0.0}
    ports: ["127.0.0.1:8080:8080"]
  database:
    image: postgres:17.6
    volumes: ["data:/var/lib/postgresql/data"]
volumes:
  data:
"""
FILES = kit_files(described(ORDERS, "orders"), REAL, Extras(compose=True))
DOCUMENTS: dict[str, Any] = {
    path: yaml.load(text, yaml.CSafeLoader) for path, text in FILES.items() if path.endswith(".yaml")
}
OVERLAY = DOCUMENTS["compose.yaml"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a compose file and the kit of its service."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "compose.yaml").write_text(THEIRS, "utf-8")
    write(FILES, folder / "monitoring")
    return folder


@pytest.fixture(scope="module")
def resolved(project: Path, compose_environment: dict[str, str]) -> dict[str, Any]:
    """What Compose makes of both files."""
    files = ["-f", "compose.yaml", "-f", "monitoring/compose.yaml"]
    command = ["docker", "compose", *files, "config", "--format=json"]
    done = subprocess.run(
        command, cwd=project, env=compose_environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_compose_adds_the_services_to_those_of_the_file(resolved: dict[str, Any]) -> None:
    assert set(resolved["services"]) == {"shop", "database", *ADDED}
    assert {"data", "monitoring-prometheus", "monitoring-grafana", "monitoring-tempo"} <= set(resolved["volumes"])
    images = {name: one["image"] for name, one in resolved["services"].items()}
    assert images["prometheus"] == environment()["PROMETHEUS_IMAGE"]


def test_every_mounted_file_is_in_the_kit(resolved: dict[str, Any], project: Path) -> None:
    mounts = [volume for name in ADDED for volume in resolved["services"][name]["volumes"] if volume["type"] == "bind"]
    assert len(mounts) == 7
    for mount in mounts:
        path = Path(mount["source"])
        assert path.is_relative_to(project / "monitoring")
        assert path.exists(), path
        assert mount["read_only"]


def test_ports_are_on_loopback_and_can_be_changed(resolved: dict[str, Any]) -> None:
    ports = [port for name in ADDED for port in resolved["services"][name].get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert {port["published"] for port in ports} == {
        environment()[name]
        for name in ("GRAFANA_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "OTLP_PORT", "OTLP_GRPC_PORT")
    }


def test_the_services_are_those_of_the_stack_but_for_what_they_mount() -> None:
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", FILES["compose.yaml"])
    committed = services()
    for name, service in yaml.load(text, yaml.CSafeLoader)["services"].items():
        differ = {entry for entry in committed[name] if service.get(entry) != committed[name][entry]}
        assert differ <= {"profiles", "depends_on", "attach", "volumes", "environment"}, name
        assert not {"profiles", "depends_on", "attach"} & set(service), name
        assert "/run/flightdeck" not in json.dumps(service), "secrets of the flights service"


def test_each_service_of_the_kit_is_scraped() -> None:
    document = yaml.load(FILES["prometheus/prometheus.yml"], yaml.CSafeLoader)
    jobs = {one["job_name"] for one in document["scrape_configs"]}
    assert {"orders", "prometheus", "alertmanager", "collector"} <= jobs


def test_the_collector_keeps_every_trace_that_missed_the_strictest_objective() -> None:
    policies = DOCUMENTS["collector/config.yaml"]["processors"]["tail_sampling"]["policies"]
    [slow] = [one["latency"]["threshold_ms"] for one in policies if one["name"] == "slow"]
    assert slow == 1000 * min(described(ORDERS, "orders").thresholds_s())


@pytest.mark.parametrize("kind", ["datasources", "dashboards"])
def test_the_provisioning_is_valid(kind: str) -> None:
    jsonschema_rs.Draft202012Validator(schema(kind)).validate(DOCUMENTS[f"grafana/provisioning/{kind}/{kind}.yaml"])


def linked(sources: Any) -> Iterator[str]:
    """Yield the uid of every data source and board to which a data source links."""
    yield from re.findall(r'"datasourceUid": "(\w+)"', json.dumps(sources))
    yield from re.findall(r"/d/([\w-]+)\?", json.dumps(sources))


@pytest.mark.parametrize("objectives", [described(ORDERS, "orders"), described(GATEWAY, "edge/gateway")])
def test_metrics_traces_and_logs_link_to_each_other(objectives: Objectives) -> None:
    files = kit_files(objectives, REAL, Extras(compose=True))
    text = files["grafana/provisioning/datasources/datasources.yaml"]
    sources = {one["uid"]: one for one in yaml.load(text, yaml.CSafeLoader)["datasources"]}
    assert set(sources) == {"prometheus", "tempo", "loki", "alertmanager"}
    board = json.loads(files["grafana/provisioning/dashboards/trace.json"])
    assert set(linked(sources)) <= {*sources, board["uid"]}
    assert board["uid"] == f"{objectives.board_prefix}-trace"
    queries = [one["query"] for one in sources["tempo"]["jsonData"]["tracesToMetrics"]["queries"]]
    assert queries
    for query in queries:
        expression = VARIABLE.sub("5m", query.replace("$$", "$"))
        assert objectives.slo_jobs in expression, "no link to another service's metrics"
    pools = [one for one in queries if "db_client_connection_count" in one]
    assert bool(pools) == ("pool" in objectives.parts)
