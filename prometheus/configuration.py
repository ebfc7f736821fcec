"""Configuration of Prometheus and Alertmanager, made from the committed one of the flights service."""

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from prometheus.catalogue import every_alert
from prometheus.duration import ACCELERATED, Clock
from prometheus.generated import ROOT
from prometheus.parts import Part
from prometheus.presence import presence
from prometheus.slo import Objectives

Json = dict[str, Any]

ROUTE_TIMINGS: Final = frozenset({"group_wait", "group_interval", "repeat_interval"})
DRILL: Final = "drill"
"""The receiver of the drills of the flights service."""
OWN_RECEIVER: Final = "http://receiver:9095"
JOBS_OF_PARTS: Final[dict[str, Part]] = {
    "prometheus": "monitoring",
    "alertmanager": "monitoring",
    "collector": "collector",
}


def prometheus_config(objectives: Objectives, clock: Clock) -> Json:
    """Return what Prometheus scrapes: the targets of the service, and the programs that it has."""
    document = _on_clock(_source("prometheus.yml"), clock)
    sources = {one["job_name"]: one for one in document["scrape_configs"]}
    document["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
        for job, addresses in objectives.targets.items()
    ] + [sources[job] for job, part in JOBS_OF_PARTS.items() if part in objectives.parts]
    return document


def accelerated_prometheus_config() -> Json:
    """Return the configuration of the flights service for a Prometheus with accelerated rules."""
    return _on_clock(_source("prometheus.yml"), ACCELERATED)


def _on_clock(document: Json, clock: Clock) -> Json:
    return document | {"global": {name: clock.duration(nominal) for name, nominal in document["global"].items()}}


def alertmanager_config(objectives: Objectives, clock: Clock) -> Json:
    """Return routes, inhibitions and receivers for the alerts that the service has."""
    document = accelerated_alertmanager_config() if clock == ACCELERATED else _source("alertmanager/alertmanager.yml")
    document["route"]["routes"] = [one for one in document["route"]["routes"] if one["receiver"] != DRILL]
    for route in (document["route"], *document["route"]["routes"]):
        if "group_by" in route:
            route["group_by"] = _without_arm(route["group_by"])
    document["receivers"] = [one for one in document["receivers"] if one["name"] != DRILL]
    for hook in (hook for receiver in document["receivers"] for hook in receiver["webhook_configs"]):
        hook["url"] = hook["url"].replace(OWN_RECEIVER, objectives.links.receiver)
    document["inhibit_rules"] = list(_inhibitions(document["inhibit_rules"], objectives))
    return document


def accelerated_alertmanager_config() -> Json:
    """Return the configuration of the flights service with an hour that lasts a minute."""
    document = _source("alertmanager/alertmanager.yml")
    for route in (document["route"], *document["route"]["routes"]):
        route |= {name: ACCELERATED.duration(nominal) for name, nominal in route.items() if name in ROUTE_TIMINGS}
    return document


def _inhibitions(rules: list[Json], objectives: Objectives) -> Iterator[Json]:
    """Yield the rules whose alerts exist, with their names."""
    known = {alert.name for alert in every_alert(objectives)}
    kept = {alert.name for alert in every_alert(objectives) if presence(objectives).has_data(alert.expr)}

    def prefixed(matcher: str) -> str:
        matcher = matcher.replace('alertname=~".+', f'alertname=~"{objectives.alert_prefix}.+')
        return re.sub(r"[A-Z]\w+", lambda found: objectives.alert_prefix * (found[0] in known) + found[0], matcher)

    for rule in rules:
        named = set(re.findall(r"[A-Z]\w+", " ".join(rule["source_matchers"] + rule["target_matchers"]))) & known
        if named <= kept:
            matchers = {side: [prefixed(one) for one in rule[side]] for side in ("source_matchers", "target_matchers")}
            yield {**matchers, "equal": _without_arm(rule["equal"])}


def _without_arm(labels: list[str]) -> list[str]:
    return [one for one in labels if one != "arm"]


def _source(path: str) -> Json:
    document: Json = yaml.safe_load((ROOT / "prometheus" / path).read_text(encoding="utf-8"))
    return document
