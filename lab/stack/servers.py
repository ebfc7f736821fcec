"""Checks that every server responds, and that Prometheus, its rules and Alertmanager work."""

from collections.abc import Callable, Iterator
from typing import Any

from lab.stack.addresses import ARMS
from lab.stack.check import Check, CheckContext, CheckFailed


def server_checks() -> Iterator[Check]:
    for arm in ARMS:
        containers = "optimized edge" if arm == "edge" else arm
        yield Check(
            service=arm, description="responds", run=_responds(arm, "/readyz"), fix=f"docker compose logs {containers}"
        )
    for service, path in (("prometheus", "/-/ready"), ("alertmanager", "/-/ready"), ("grafana", "/api/health")):
        yield Check(
            service=service,
            description="responds",
            run=_responds(service, path),
            fix=f"docker compose logs {service}",
        )
    yield Check(
        service="receiver",
        description="serves runbooks",
        run=_responds("receiver", "/runbooks/pool-exhausted"),
        fix="docker compose logs receiver; the pages are docs/runbooks, copied into the image",
    )
    yield Check(
        service="bugsink",
        description="responds",
        run=_responds("bugsink", "/health/ready"),
        fix="docker compose logs bugsink; its first start takes a minute",
        in_core=False,
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


def _responds(service: str, path: str) -> Callable[[CheckContext], str]:
    return lambda context: str(context.get(context.addresses[service] + path).status_code)


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
