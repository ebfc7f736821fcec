"""The manifests are valid, and agree with the service, its metrics and the rules."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import pytest
import yaml
from prometheus_client import CollectorRegistry

from observability import TelemetrySettings
from service.app import create_app
from service.exports.broker import queue_name
from service.settings import Settings
from tests.deploy.stack_files import ROOT, content, environment
from tests.servers.arm import QUIET, arm_settings
from tests.servers.custom_resource import SOURCES, validate
from tests.servers.go_program import built

KUBERNETES = ROOT / "deploy/kubernetes"
FOLDER = KUBERNETES / "base"
KUSTOMIZATION = content("deploy/kubernetes/base/kustomization.yaml")
MANIFESTS: dict[str, Any] = {
    name: yaml.safe_load((FOLDER / name).read_text("utf-8")) for name in KUSTOMIZATION["resources"]
}
POD_MONITOR = content("deploy/kubernetes/components/podmonitor/podmonitor.yaml")
OVERLAYS: dict[str, set[str]] = {
    "base": set(),
    "overlays/monitored": {"PodMonitor"},
    "overlays/demo": {"StatefulSet", "ConfigMap", "PersistentVolumeClaim"},
    "overlays/workers": {"ScaledObject", "TriggerAuthentication", "PersistentVolumeClaim"},
}
"""The folders that can be applied, and the kinds of objects that each adds."""
DEPLOYMENT: dict[str, Any] = MANIFESTS["deployment.yaml"]["spec"]["template"]
JOB: dict[str, Any] = MANIFESTS["data.yaml"]["spec"]["template"]
SERVICE: dict[str, Any] = DEPLOYMENT["spec"]["containers"][0]
WORKER: dict[str, Any] = content("deploy/kubernetes/components/worker/worker.yaml")["spec"]["template"]


@cache
def rendered(overlay: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the objects that an overlay applies, by kind and name."""
    command = [built("kustomize"), "build", str(KUBERNETES / overlay)]
    done = subprocess.run(command, check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_renders_valid_objects_of_the_namespace(overlay: str) -> None:
    objects = rendered(overlay)
    assert {kind for kind, _ in objects} - {kind for kind, _ in rendered("base")} == OVERLAYS[overlay]
    for (kind, name), one in objects.items():
        assert kind == "Namespace" or one["metadata"]["namespace"] == "flightdeck", name
        if kind in SOURCES:
            validate(one)
        else:
            kubernetes_validate.validate(one, "1.30", strict=True)


def test_every_folder_is_described_and_can_be_applied_or_combined() -> None:
    folders = {str(path.parent.relative_to(KUBERNETES)) for path in KUBERNETES.rglob("kustomization.yaml")}
    assert {folder for folder in folders if not folder.startswith("components/")} == set(OVERLAYS)
    page = (ROOT / "docs/kubernetes.md").read_text("utf-8")
    assert [folder for folder in folders if f"`{folder}`" not in page and folder != "base"] == []


def test_the_base_needs_nothing_but_kubernetes() -> None:
    objects = rendered("base")
    assert {one["apiVersion"].partition("/")[0] for one in objects.values()} <= {
        "v1",
        "apps",
        "batch",
        "autoscaling",
        "policy",
    }
    [metric] = objects["HorizontalPodAutoscaler", "flightdeck"]["spec"]["metrics"]
    assert metric["type"] == "Resource"
    [service] = objects["Deployment", "flightdeck"]["spec"]["template"]["spec"]["containers"]
    assert not [variable["name"] for variable in service["env"] if variable["name"].endswith("_ENDPOINT")]


def test_the_collector_is_a_setting_of_the_service() -> None:
    [service] = rendered("overlays/monitored")["Deployment", "flightdeck"]["spec"]["template"]["spec"]["containers"]
    given = {variable["name"]: variable["value"] for variable in service["env"] if "value" in variable}
    settings = TelemetrySettings.from_environ(given)
    assert settings.logs_exporter == "otlp"
    assert settings.otlp_url("traces") == "http://collector.monitoring:4318/v1/traces"


def test_the_demo_has_the_versions_and_the_privileges_of_the_rest() -> None:
    objects = rendered("overlays/demo")
    kinds = {"postgres": "StatefulSet", "redis": "Deployment", "rabbitmq": "StatefulSet"}
    pods = [objects[kind, name]["spec"]["template"]["spec"] for name, kind in kinds.items()]
    images = [container["image"] for pod in pods for container in pod["containers"]]
    assert images == [environment()[f"{name.upper()}_IMAGE"] for name in kinds]
    for pod in pods:
        check_privileges(pod)
    for name, kind in kinds.items():
        selector = objects["Service", name]["spec"]["selector"]
        assert selector.items() <= objects[kind, name]["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_a_manifest_is_valid(name: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], "1.30", strict=True)


def test_a_misspelt_field_is_found() -> None:
    wrong = yaml.safe_load((FOLDER / "deployment.yaml").read_text("utf-8"))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.30", strict=True)


def test_the_kustomization_lists_every_manifest() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*MANIFESTS, "kustomization.yaml"}
    [image] = KUSTOMIZATION["images"]
    assert image["newTag"] == environment()["FLIGHTDECK_VERSION"]
    assert {one["image"] for one in _containers()} == {image["name"]}


def _containers() -> list[dict[str, Any]]:
    pods = (DEPLOYMENT, WORKER, JOB)
    return [one for pod in pods for kind in ("initContainers", "containers") for one in pod["spec"].get(kind, ())]


def test_every_setting_exists_and_every_secret_is_explained() -> None:
    known = {name.upper() for name in Settings.model_fields}
    known |= {field.alias for field in TelemetrySettings.model_fields.values() if field.alias}
    variables = [variable for container in _containers() for variable in container["env"]]
    assert {one["name"] for one in variables} <= known
    keys = {one["valueFrom"]["secretKeyRef"]["key"] for one in variables if "valueFrom" in one}
    page = (ROOT / "docs/kubernetes.md").read_text("utf-8")
    others = {"postgres-password", "rabbitmq-password", "celery-broker-address", "celery-broker-password"}
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == keys | others
    given = {one["name"]: one["value"] for one in variables if "value" in one}
    assert TelemetrySettings.from_environ(given).metrics_host == "0.0.0.0"  # noqa: S104 Prometheus is in another pod


def test_probes_use_routes_that_exist_and_liveness_does_not_use_the_database(few_flights: Path) -> None:
    app = create_app(arm_settings("all", few_flights), registry=CollectorRegistry(), telemetry=QUIET)
    paths = {name: SERVICE[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert set(paths.values()) <= set(app.openapi()["paths"])
    assert paths["livenessProbe"] == "/livez"
    assert {SERVICE[name]["httpGet"]["port"] for name in paths} == {"http"}


def test_metrics_are_scraped_and_not_published() -> None:
    ports = {one["name"]: one["containerPort"] for one in SERVICE["ports"]}
    assert ports["metrics"] == TelemetrySettings().metrics_port
    [endpoint] = POD_MONITOR["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "metrics"
    assert [one["targetPort"] for one in MANIFESTS["service.yaml"]["spec"]["ports"]] == ["http"]
    job = next(one for one in content("prometheus/prometheus.yml")["scrape_configs"] if one["job_name"] == "service")
    labels = {one["targetLabel"]: one["replacement"] for one in endpoint["relabelings"]}
    assert labels == {"job": "service", "arm": job["relabel_configs"][0]["replacement"]}


def test_everything_selects_the_pods_of_the_deployment() -> None:
    labels = {"app.kubernetes.io/component": "service"}
    assert DEPLOYMENT["metadata"]["labels"] == labels
    assert MANIFESTS["service.yaml"]["spec"]["selector"] == labels
    for one in (MANIFESTS["deployment.yaml"], MANIFESTS["disruption.yaml"], POD_MONITOR):
        assert one["spec"]["selector"]["matchLabels"] == labels
    assert JOB["metadata"]["labels"] != labels


def test_the_autoscaler_scales_out_before_requests_queue(few_flights: Path) -> None:
    registry = CollectorRegistry()
    create_app(arm_settings("all", few_flights), registry=registry, telemetry=QUIET)
    scaler = rendered("overlays/monitored")["HorizontalPodAutoscaler", "flightdeck"]
    [pods] = [one["pods"] for one in scaler["spec"]["metrics"] if one["type"] == "Pods"]
    assert registry.get_sample_value(pods["metric"]["name"]) is not None
    limit = Settings.model_fields["max_concurrent_requests"].default
    assert int(pods["target"]["averageValue"]) == limit * 3 // 4
    target = MANIFESTS["autoscaler.yaml"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", MANIFESTS["deployment.yaml"]["metadata"]["name"])
    assert "replicas" not in MANIFESTS["deployment.yaml"]["spec"]


@pytest.mark.parametrize("pod", [DEPLOYMENT, WORKER, JOB], ids=["service", "worker", "data"])
def test_a_pod_is_unprivileged(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    user = re.search(r"--uid (\d+)", (ROOT / "deploy/Dockerfile").read_text("utf-8"))
    assert user
    assert spec["securityContext"]["runAsUser"] == int(user[1])
    check_privileges(spec)


def check_privileges(spec: dict[str, Any]) -> None:
    """Check that no container of the pod has more than the strictest profile allows."""
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


def test_the_grace_period_covers_the_drain_delay_and_requests_in_flight() -> None:
    pause_s = SERVICE["lifecycle"]["preStop"]["sleep"]["seconds"]
    unready_s = SERVICE["readinessProbe"]["periodSeconds"]
    assert pause_s >= unready_s
    assert DEPLOYMENT["spec"]["terminationGracePeriodSeconds"] >= pause_s + 10


@pytest.mark.parametrize("overlay", ["overlays/workers", "overlays/demo"])
def test_service_and_workers_share_the_broker_and_the_files(overlay: str) -> None:
    objects = rendered(overlay)
    given = []
    for name in ("flightdeck", "flightdeck-worker"):
        spec = objects["Deployment", name]["spec"]["template"]["spec"]
        [container] = spec["containers"]
        variables = {one["name"]: one.get("value") or one["valueFrom"] for one in container["env"]}
        [mount] = [one for one in container["volumeMounts"] if one["name"] == "exports"]
        [volume] = [one for one in spec["volumes"] if one["name"] == "exports"]
        assert variables["EXPORT_DIR"] == mount["mountPath"]
        given.append((container["image"], variables["CELERY_BROKER_URL"], variables["EXPORT_DIR"], volume))
    assert given[0] == given[1]
    claimed = given[0][3]["persistentVolumeClaim"]["claimName"]
    assert objects["PersistentVolumeClaim", claimed]["spec"]["accessModes"] == [
        "ReadWriteOnce" if overlay == "overlays/demo" else "ReadWriteMany"
    ]


@pytest.mark.parametrize(("component", "measure"), [("keda-rabbitmq", "queueName"), ("keda-redis", "listName")])
def test_keda_scales_the_workers_by_the_queue_of_the_service(component: str, measure: str, few_flights: Path) -> None:
    text = (KUBERNETES / "components" / component / "scaledobject.yaml").read_text("utf-8")
    scaled, authentication = yaml.safe_load_all(text)
    for one in (scaled, authentication):
        validate(one)
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["metadata"][measure] == queue_name(arm_settings("all", few_flights))
    assert trigger["type"] == component.removeprefix("keda-")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == "flightdeck-worker"
    assert scaled["spec"]["minReplicaCount"] >= 1


def test_a_misspelt_field_of_a_custom_resource_is_found() -> None:
    wrong = rendered("overlays/workers")["ScaledObject", "flightdeck-worker"]
    with pytest.raises(jsonschema_rs.ValidationError):
        validate({**wrong, "spec": {**wrong["spec"], "minReplicas": 1}})


def test_both_processes_of_a_worker_are_scraped_as_in_the_compose_stack() -> None:
    spec = content("deploy/kubernetes/components/podmonitor/worker.yaml")["spec"]
    assert spec["selector"]["matchLabels"] == WORKER["metadata"]["labels"]
    [container] = WORKER["spec"]["containers"]
    assert [one["port"] for one in spec["podMetricsEndpoints"]] == [one["name"] for one in container["ports"]]
    job = next(one for one in content("prometheus/prometheus.yml")["scrape_configs"] if one["job_name"] == "worker")
    assert [one["containerPort"] for one in container["ports"]] == [one["port"] for one in job["dns_sd_configs"]]
    for endpoint in spec["podMetricsEndpoints"]:
        labels = {one["targetLabel"]: one["replacement"] for one in endpoint["relabelings"]}
        assert labels == {"job": "worker", "arm": job["relabel_configs"][0]["replacement"]}


def test_the_brokers_memory_is_bounded_as_in_the_compose_stack() -> None:
    objects = rendered("overlays/demo")
    [configuration] = [one for (kind, _), one in objects.items() if kind == "ConfigMap"]
    [limit] = re.findall(r"^vm_memory.*$", (ROOT / "deploy/rabbitmq/memory.conf").read_text("utf-8"), re.MULTILINE)
    assert configuration["data"]["20-memory.conf"].strip() == limit
