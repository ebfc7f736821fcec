"""Custom resources of Kubernetes, validated by the definitions in the Go modules of their operators."""

from functools import cache
from typing import Any, Final

import jsonschema_rs
import yaml

from tests.servers.go_program import module

OPERATOR: Final = ("github.com/prometheus-operator/prometheus-operator", "v0.92.1", "example/prometheus-operator-crd")
KEDA: Final = ("github.com/kedacore/keda/v2", "v2.18.1", "config/crd/bases")

SOURCES: Final = {
    "PrometheusRule": (*OPERATOR, "monitoring.coreos.com_prometheusrules.yaml"),
    "AlertmanagerConfig": (*OPERATOR, "monitoring.coreos.com_alertmanagerconfigs.yaml"),
    "PodMonitor": (*OPERATOR, "monitoring.coreos.com_podmonitors.yaml"),
    "ScaledObject": (*KEDA, "keda.sh_scaledobjects.yaml"),
    "TriggerAuthentication": (*KEDA, "keda.sh_triggerauthentications.yaml"),
}
"""By kind: the module, its version, the folder and the file of the definition."""


class _Definitions(yaml.CSafeLoader):
    """YAML in which `=` is a text."""


_Definitions.add_constructor("tag:yaml.org,2002:value", lambda _, node: str(node.value))


def validate(one: dict[str, Any]) -> None:
    """Raise `jsonschema_rs.ValidationError` if the API server would reject the object or drop a field of it."""
    _validator(one["kind"], one["apiVersion"].rpartition("/")[2]).validate(one)


@cache
def _validator(kind: str, version: str) -> jsonschema_rs.Draft202012Validator:
    path, release, folder, name = SOURCES[kind]
    text = (module(path, release) / folder / name).read_text("utf-8")
    versions = yaml.load(text, _Definitions)["spec"]["versions"]  # noqa: S506 a safe loader
    schema = next(one for one in versions if one["name"] == version)["schema"]["openAPIV3Schema"]
    return jsonschema_rs.Draft202012Validator(_strict(schema | {"additionalProperties": False}))


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _strict(value) for name, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        if closed["properties"].keys() >= {"apiVersion", "kind", "metadata"}:
            closed["properties"]["metadata"] = {"type": "object"}  # of Kubernetes, not of the schema
        closed.setdefault("additionalProperties", closed.get("x-kubernetes-preserve-unknown-fields", False))
    return closed
