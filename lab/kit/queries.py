"""Every query of a built kit: of its boards, rules, alerts and runbooks."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from prometheus.duration import REAL, Clock, seconds
from prometheus.expression import VARIABLE
from prometheus.runbooks import queries as runbook_queries

SCRAPES: Final = 4
"""In Grafana's `$__rate_interval`."""


def chosen(clock: Clock) -> dict[str, str]:
    """Return the values of a board's variables when it is opened, where Prometheus scrapes as the kit configures it."""
    scrape_s = seconds(clock.duration("15s"))
    return {
        "handler": ".*",
        "__range": "1h",
        "__interval": f"{scrape_s}s",
        "__rate_interval": f"{SCRAPES * scrape_s}s",
        "window": "5m",
    }


@dataclass(frozen=True, kw_only=True)
class Query:
    where: str
    """The board and panel, the rule, or the runbook."""
    expression: str
    is_alert: bool = False
    """Without data as long as nothing is wrong."""
    is_of_panel: bool = False


def queries(files: Mapping[str, str], clock: Clock = REAL) -> Iterator[Query]:
    """Yield the queries of the files by their paths, ready to be sent."""
    for path, text in files.items():
        if path.startswith("grafana/dashboards/"):
            yield from _of_board(json.loads(text), chosen(clock))
        elif path.startswith(("prometheus/rules/", "prometheus/alerts/")):
            yield from _of_rules(yaml.safe_load(text))
        elif path.startswith("runbooks/"):
            for number, expression in enumerate(runbook_queries(text), start=1):
                yield Query(where=f"{path}, query {number}", expression=expression)


def _of_board(board: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Query]:
    for row in board["panels"]:
        for panel in (row, *row.get("panels", [])):
            for target in panel.get("targets", []):
                expression = VARIABLE.sub(lambda found: values.get(found[0].strip("${}"), found[0]), target["expr"])
                where = f"board {board['title']}, panel {panel['title']}"
                yield Query(where=where, expression=expression, is_of_panel=True)


def _of_rules(document: Mapping[str, Any]) -> Iterator[Query]:
    for group in document["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            yield Query(where=f"rule {name}", expression=rule["expr"], is_alert="alert" in rule)


def base_name(series: str) -> str:
    """Return the name under which a metric is declared: of a histogram without `_bucket`, of a counter `_total`."""
    return re.sub(r"_(?:bucket|count|sum|total)$", "", series)
