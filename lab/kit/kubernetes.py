"""The kit as objects of Kubernetes: those of the Prometheus Operator, and ConfigMaps that Grafana's sidecar reads.

A cluster with the operator monitors its own Prometheus and Alertmanager, so the part `monitoring` is left out here.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from grafana.build import outputs as board_outputs
from prometheus.build import rule_files, yaml_text
from prometheus.configuration import alertmanager_config
from prometheus.duration import Clock
from prometheus.scope import Scope
from prometheus.slo import Objectives

Json = dict[str, Any]

FOLDER: Final = "kubernetes"
_MATCHER: Final = re.compile(r'(?P<name>\w+)(?P<matchType>=~|!~|!=|=)"(?P<value>.*)"')
_RENAMED: Final = {"source_matchers": "sourceMatch", "target_matchers": "targetMatch"}
"""Entries of Alertmanager's configuration that have another name in an AlertmanagerConfig, beside camel case."""


def kubernetes_documents(objectives: Objectives, clock: Clock) -> dict[str, list[Json]]:
    """Return the objects by the path of their file in the kit."""
    own = objectives.model_copy(update={"parts": tuple(one for one in objectives.parts if one != "monitoring")})
    documents = {
        "prometheusrule.yaml": [_rules(own, clock)],
        "alertmanagerconfig.yaml": [_routing(own, clock)],
        "podmonitor.yaml": _pod_monitors(own, clock),
        "dashboards.yaml": _boards(own),
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(documents),
    }
    return {
        f"{FOLDER}/{path}": objects for path, objects in {**documents, "kustomization.yaml": [kustomization]}.items()
    }


def kubernetes_texts(objectives: Objectives, clock: Clock) -> dict[str, str]:
    """Return the text of every file by its path."""
    return {
        path: "---\n".join(map(yaml_text, objects)) for path, objects in kubernetes_documents(objectives, clock).items()
    }


def _object(objectives: Objectives, kind: str, version: str, name: str = "", **labels: str) -> Json:
    prefix = objectives.board_prefix
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {
            "name": f"{prefix}-{name}" if name else prefix,
            "namespace": objectives.kubernetes.namespace,
            "labels": {
                "app.kubernetes.io/name": prefix,
                "app.kubernetes.io/managed-by": "flightdeck-kit",
                **objectives.kubernetes.labels,
                **labels,
            },
        },
    }


def _rules(objectives: Objectives, clock: Clock) -> Json:
    scope = Scope(objectives)
    groups = [group.mapping(clock, scope) for groups in rule_files(objectives).values() for group in groups]
    for rule in (rule for group in groups for rule in group["rules"] if "alert" in rule):
        # The operator lets the routes of an AlertmanagerConfig match alerts of its own namespace only.
        rule["labels"] = {**rule["labels"], "namespace": objectives.kubernetes.namespace}
    return _object(objectives, "PrometheusRule", "monitoring.coreos.com/v1") | {"spec": {"groups": groups}}


def _routing(objectives: Objectives, clock: Clock) -> Json:
    document = alertmanager_config(objectives, clock)
    spec = {entry: document[entry] for entry in ("route", "receivers", "inhibit_rules")}
    return _object(objectives, "AlertmanagerConfig", "monitoring.coreos.com/v1alpha1") | {"spec": _converted(spec)}


def _converted(value: Any, entry: str = "") -> Any:
    """Return a part of Alertmanager's configuration as the operator names its entries."""
    if entry.endswith("matchers"):
        return [_matcher(one) for one in value]
    if isinstance(value, Mapping):
        return {_RENAMED.get(name, _camel_case(name)): _converted(one, name) for name, one in value.items()}
    return [_converted(one) for one in value] if isinstance(value, list) else value


def _matcher(text: str) -> dict[str, str]:
    found = _MATCHER.fullmatch(text)
    if not found:
        raise ValueError(f"{text} is not a matcher of Alertmanager")
    return found.groupdict()


def _camel_case(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def _pod_monitors(objectives: Objectives, clock: Clock) -> list[Json]:
    own, prefix = objectives.kubernetes, {"app.kubernetes.io/name": objectives.board_prefix}
    monitors = [_pod_monitor(objectives, clock, "", objectives.jobs, own.pods or prefix)]
    if "tasks" in objectives.parts:
        pods = own.worker_pods or {**prefix, "app.kubernetes.io/component": "worker"}
        monitors.append(_pod_monitor(objectives, clock, "worker", objectives.worker_jobs, pods))
    return monitors


def _pod_monitor(objectives: Objectives, clock: Clock, name: str, jobs: Sequence[str], pods: Mapping[str, str]) -> Json:
    endpoint = {
        "port": objectives.kubernetes.port,
        "interval": clock.duration("15s"),
        "relabelings": [{"targetLabel": "job", "replacement": jobs[0]}],
    }
    spec = {"selector": {"matchLabels": dict(pods)}, "podMetricsEndpoints": [endpoint]}
    return _object(objectives, "PodMonitor", "monitoring.coreos.com/v1", name) | {"spec": spec}


def _boards(objectives: Objectives) -> list[Json]:
    objects = []
    for path, text in board_outputs(objectives).items():
        file = path.rpartition("/")[2]
        one = _object(objectives, "ConfigMap", "v1", f"board-{file.removesuffix('.json')}", grafana_dashboard="1")
        one["metadata"]["annotations"] = {"grafana_folder": objectives.board_prefix}
        objects.append(one | {"data": {file: text}})
    return objects
