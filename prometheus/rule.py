"""Recording rules, alerts and groups of them, as the mappings that Prometheus reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from prometheus.duration import Clock
from prometheus.scope import Scope

Severity = Literal["critical", "warning", "none"]
"""Critical pages, warning is a ticket, none is the heartbeat."""
Owner = Literal["service", "platform", "monitoring"]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A series that is computed once per interval, so that panels and alerts stay cheap."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    meaning: str = ""
    """For the docs; rules that differ only in labels share it."""

    def mapping(self, clock: Clock, scope: Scope) -> dict[str, Any]:
        expression = clock.expression(scope.expression(self.expr))
        rule: dict[str, Any] = {"record": scope.series(self.record), "expr": expression}
        return rule | ({"labels": dict(self.labels)} if self.labels else {})


@dataclass(frozen=True, kw_only=True)
class Alert:
    name: str
    severity: Severity = "warning"
    owner: Owner = "service"
    expr: str
    for_: str
    """How long the expression must hold before the alert fires."""
    summary: str
    description: str
    """With the value; durations in brackets follow the clock of the rules."""
    dashboard: str
    """Uid of the board that shows the cause, with its query string."""
    labels: Mapping[str, str] = field(default_factory=dict)
    drill: str = ""
    """Name of the drill that makes it fire, or empty: then `drill_exemption` gives the reason."""
    drill_exemption: str = ""

    @property
    def runbook(self) -> str:
        """Name of the runbook page: `PoolExhausted` is `pool-exhausted`."""
        return "".join(f"-{one.lower()}" if one.isupper() else one for one in self.name).lstrip("-")

    def mapping(self, clock: Clock, scope: Scope) -> dict[str, Any]:
        links = scope.objectives.links
        return {
            "alert": scope.objectives.alert_prefix + self.name,
            "expr": clock.expression(scope.expression(self.expr)),
            "for": clock.duration(self.for_),
            "labels": {"severity": self.severity, "owner": self.owner, **self.labels},
            "annotations": {
                "summary": scope.text(self.summary),
                "description": clock.expression(scope.text(self.description)).replace("[", "").replace("]", ""),
                "dashboard_url": f"{links.dashboards}/{scope.text(self.dashboard)}",
                "runbook_url": f"{links.runbooks}/{self.runbook}",
            },
        }


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rules that are evaluated together, in order."""

    name: str
    rules: Sequence[Recording | Alert]
    interval: str = "15s"

    def mapping(self, clock: Clock, scope: Scope) -> dict[str, Any]:
        rules = [rule.mapping(clock, scope) for rule in self.rules]
        return {"name": self.name, "interval": clock.duration(self.interval), "rules": rules}
