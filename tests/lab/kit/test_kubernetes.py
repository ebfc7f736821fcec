"""The kit as objects of Kubernetes: valid by the schemas of the operator, and in agreement with the other files."""

import json
from typing import Any

import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import pytest
import yaml

from lab.kit.build import Extras, kit_files
from lab.kit.kubernetes import kubernetes_documents
from prometheus.duration import REAL
from prometheus.slo import Kubernetes
from tests.lab.kit.services import GATEWAY, ORDERS, described
from tests.servers.custom_resource import SOURCES, validate

SERVICES = {"orders": described(ORDERS, "orders"), "gateway": described(GATEWAY, "edge/gateway")}
OBJECTS = {name: kubernetes_documents(objectives, REAL) for name, objectives in SERVICES.items()}


@pytest.mark.parametrize("name", SERVICES)
def test_the_api_server_accepts_every_object(name: str) -> None:
    files = OBJECTS[name].copy()
    kustomization = files.pop("kubernetes/kustomization.yaml")[0]
    assert {f"kubernetes/{path}" for path in kustomization["resources"]} == set(files)
    seen = set()
    for one in (one for objects in files.values() for one in objects):
        seen.add(one["kind"])
        if one["kind"] in SOURCES:
            validate(one)
        else:
            kubernetes_validate.validate(one, "1.30", strict=True)
    assert seen == {"PrometheusRule", "AlertmanagerConfig", "PodMonitor", "ConfigMap"}


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("prometheusrule", lambda spec: spec["groups"][0]["rules"][0].update({"exp": "1"})),
        ("alertmanagerconfig", lambda spec: spec["receivers"][0].update({"webhook_configs": []})),
        ("podmonitor", lambda spec: spec["podMetricsEndpoints"][0].update({"interval": "soon"})),
    ],
)
def test_a_mistake_in_an_object_is_found(path: str, change: Any) -> None:
    one = json.loads(json.dumps(OBJECTS["orders"][f"kubernetes/{path}.yaml"][0]))
    validate(one)
    change(one["spec"])
    with pytest.raises(jsonschema_rs.ValidationError):
        validate(one)


def test_names_of_groups_are_unique_in_the_object() -> None:
    for files in OBJECTS.values():
        names = [group["name"] for group in files["kubernetes/prometheusrule.yaml"][0]["spec"]["groups"]]
        assert len(names) == len(set(names))


def test_alerts_are_those_of_the_other_files_but_for_monitoring_itself() -> None:
    def alerts(groups: list[dict[str, Any]]) -> dict[str, str]:
        return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}

    orders = SERVICES["orders"]
    texts = [text for path, text in kit_files(orders, REAL).items() if path.startswith("prometheus/alerts/")]
    everywhere = alerts([group for text in texts for group in yaml.load(text, yaml.CSafeLoader)["groups"]])
    [rule] = OBJECTS["orders"]["kubernetes/prometheusrule.yaml"]
    own = alerts(rule["spec"]["groups"])
    assert own.items() <= everywhere.items()
    assert "OrdersAvailabilityBudgetBurn" in own
    assert "OrdersAlertmanagerMissing" in everywhere.keys() - own.keys()


def test_an_alert_has_the_namespace_by_which_the_operator_routes_it() -> None:
    elsewhere = SERVICES["orders"].model_copy(update={"kubernetes": Kubernetes(namespace="shop", labels={"team": "a"})})
    files = kubernetes_documents(elsewhere, REAL)
    [rule] = files["kubernetes/prometheusrule.yaml"]
    labels = [one["labels"] for group in rule["spec"]["groups"] for one in group["rules"] if "alert" in one]
    assert {one["namespace"] for one in labels} == {"shop"}
    metadata = [one["metadata"] for path, objects in files.items() if "kustom" not in path for one in objects]
    assert {(one["namespace"], one["labels"]["team"]) for one in metadata} == {("shop", "a")}


def test_pages_tickets_and_heartbeats_have_a_receiver() -> None:
    [routing] = OBJECTS["orders"]["kubernetes/alertmanagerconfig.yaml"]
    spec = routing["spec"]
    routes = {one["matchers"][0]["value"]: one["receiver"] for one in spec["route"]["routes"]}
    assert routes == {"none": "heartbeat", "critical": "page"}
    assert {one["name"] for one in spec["receivers"]} == {*routes.values(), spec["route"]["receiver"]}
    known = {matcher["value"] for rule in spec["inhibitRules"] for matcher in rule["sourceMatch"]}
    assert "OrdersServiceDown" in known


def test_workers_are_scraped_where_the_service_has_tasks() -> None:
    monitors = {name: files["kubernetes/podmonitor.yaml"] for name, files in OBJECTS.items()}
    jobs = {
        name: [one["spec"]["podMetricsEndpoints"][0]["relabelings"][0]["replacement"] for one in objects]
        for name, objects in monitors.items()
    }
    assert jobs == {"orders": ["orders"], "gateway": ["edge/gateway", "edge/gateway-worker"]}
    labels = {json.dumps(one["spec"]["selector"]) for one in monitors["gateway"]}
    assert len(labels) == 2


def test_boards_are_those_of_the_other_files_and_fit_a_config_map() -> None:
    files = kit_files(SERVICES["orders"], REAL, Extras(kubernetes=True))
    objects = list(yaml.load_all(files["kubernetes/dashboards.yaml"], yaml.CSafeLoader))
    boards = {name: text for one in objects for name, text in one["data"].items()}
    assert {f"grafana/dashboards/{name}" for name in boards} <= set(files)
    assert {len(one["data"]) for one in objects} == {1}
    assert max(map(len, boards.values())) < 1_000_000
    assert {one["metadata"]["labels"]["grafana_dashboard"] for one in objects} == {"1"}
