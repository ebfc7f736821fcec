"""The servers answer, each on its port."""

from collections.abc import Callable, Iterator
from typing import Any

from lab.stack.addresses import ARMS
from lab.stack.check import Check, Visit, Wrong


def server_checks() -> Iterator[Check]:
    """Yield the checks that every published server answers."""
    for arm in ARMS:
        behind = "optimized edge" if arm == "edge" else arm
        yield Check(part=arm, claim="answers", seen=_answers(arm, "/readyz"), fix=f"docker compose logs {behind}")
    for part, path in (("prometheus", "/-/ready"), ("alertmanager", "/-/ready"), ("grafana", "/api/health")):
        yield Check(part=part, claim="answers", seen=_answers(part, path), fix=f"docker compose logs {part}")
    yield Check(
        part="receiver",
        claim="shows runbooks",
        seen=_answers("receiver", "/runbooks/pool-exhausted"),
        fix="docker compose logs receiver; the pages are docs/runbooks, copied into the image",
    )
    yield Check(
        part="bugsink",
        claim="answers",
        seen=_answers("bugsink", "/health/ready"),
        fix="docker compose logs bugsink; its first start takes a minute",
        in_core=False,
    )


def monitoring_checks() -> Iterator[Check]:
    """Yield the checks on Prometheus, its rules and the way of alerts."""
    yield Check(
        part="prometheus",
        claim="reaches every target",
        seen=_targets,
        fix="the page /targets of Prometheus says why; docker compose ps says what is down",
    )
    yield Check(
        part="prometheus",
        claim="evaluates every rule",
        seen=_rules,
        fix="make rules; the page /rules of Prometheus says which rule fails",
    )
    yield Check(
        part="alertmanager",
        claim="hears from Prometheus",
        seen=_heartbeat,
        fix="docs/runbooks/watchdog.md",
    )


def _answers(part: str, path: str) -> Callable[[Visit], str]:
    def seen(visit: Visit) -> str:
        return str(visit.get(visit.at[part] + path).status_code)

    return seen


def _targets(visit: Visit) -> str:
    targets = visit.json(f"{visit.at['prometheus']}/api/v1/targets", state="active")["data"]["activeTargets"]
    down = sorted({f"{one['labels']['job']} ({one['scrapeUrl']})" for one in targets if one["health"] != "up"})
    if down or not targets:
        raise Wrong(f"down: {', '.join(down)}" if down else "it has no targets")
    return f"{len(targets)} targets up"


def _rules(visit: Visit) -> str:
    groups = visit.json(f"{visit.at['prometheus']}/api/v1/rules")["data"]["groups"]
    rules: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
    failing = sorted({rule["name"] for rule in rules if rule["health"] == "err"})
    if failing or not rules:
        raise Wrong(f"failing: {', '.join(failing)}" if failing else "it has no rules: is its configuration mounted?")
    return f"{len(rules)} rules in {len(groups)} groups"


def _heartbeat(visit: Visit) -> str:
    alerts = visit.json(f"{visit.at['alertmanager']}/api/v2/alerts")
    names = [alert["labels"]["alertname"] for alert in alerts]
    if "Watchdog" not in names:
        raise Wrong(f"the alert Watchdog, which always fires, is not among its {len(names)} alerts")
    return f"Watchdog and {len(names) - 1} others"
