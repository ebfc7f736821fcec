"""Checks that every server responds, and that Prometheus, its rules and Alertmanager work."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from lab.stack.addresses import ARMS
from lab.stack.check import Check, CheckContext, CheckFailed

READY_PATHS: Final = {
    **dict.fromkeys(ARMS, "/readyz"),
    "prometheus": "/-/ready",
    "alertmanager": "/-/ready",
    "grafana": "/api/health",
    "receiver": "/runbooks/pool-exhausted",
    "bugsink": "/health/ready",
}
DESCRIPTIONS: Final = {"receiver": "serves runbooks"}
FIXES: Final = {
    "edge": "docker compose logs optimized edge",
    "receiver": "docker compose logs receiver; the pages are docs/runbooks, copied into the image",
    "bugsink": "docker compose logs bugsink; its first start takes a minute",
}


def server_checks() -> Iterator[Check]:
    for service, path in READY_PATHS.items():
        yield Check(
            service=service,
            description=DESCRIPTIONS.get(service, "responds"),
            run=partial(_responds, service, path),
            fix=FIXES.get(service, f"docker compose logs {service}"),
            in_core=service != "bugsink",
        )


def monitoring_checks() -> Iterator[Check]:
    yield Check(
        service="prometheus",
        description="reaches every target",
        run=_targets,
        fix="the page /targets of Prometheus shows the error; docker compose ps shows what is down",
    )
    yield Check(
        service="prometheus",
        description="evaluates every rule",
        run=_rules,
        fix="make rules; the page /rules of Prometheus shows which rule fails",
    )
    yield Check(
        service="alertmanager",
        description="receives alerts from Prometheus",
        run=_watchdog,
        fix="docs/runbooks/watchdog.md",
    )


def _responds(service: str, path: str, context: CheckContext) -> str:
    return str(context.get(context.addresses[service] + path).status_code)


def _targets(context: CheckContext) -> str:
    url = f"{context.addresses['prometheus']}/api/v1/targets"
    targets = context.json(url, state="active")["data"]["activeTargets"]
    down = sorted({f"{one['labels']['job']} ({one['scrapeUrl']})" for one in targets if one["health"] != "up"})
    if down or not targets:
        raise CheckFailed(f"down: {', '.join(down)}" if down else "it has no targets")
    return f"{len(targets)} targets up"


def _rules(context: CheckContext) -> str:
    groups = context.json(f"{context.addresses['prometheus']}/api/v1/rules")["data"]["groups"]
    rules: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
    failing = sorted({rule["name"] for rule in rules if rule["health"] == "err"})
    if failing or not rules:
        raise CheckFailed(
            f"failing: {', '.join(failing)}" if failing else "it has no rules: is its configuration mounted?"
        )
    return f"{len(rules)} rules in {len(groups)} groups"


def _watchdog(context: CheckContext) -> str:
    alerts = context.json(f"{context.addresses['alertmanager']}/api/v2/alerts")
    names = [alert["labels"]["alertname"] for alert in alerts]
    if "Watchdog" not in names:
        raise CheckFailed(f"the alert Watchdog, which always fires, is not among its {len(names)} alerts")
    return f"Watchdog and {len(names) - 1} others"
