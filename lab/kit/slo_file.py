"""Writes a proposal as a commented `slo.toml`, with the limits of the flights service as defaults."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lab.kit.discovery import Discovery, Route
from lab.kit.openslo import Imported
from lab.kit.proposal import ENOUGH, Proposal, is_excluded, proposals
from prometheus.slo import PATH, RouteGroup

DEFAULT_WINDOW: Final = "30d"

HEADER: Final = """\
# Service level objectives of {name}, and the thresholds of its alerts and dashboards.
# Change what does not fit, then run `flightdeck kit build`: rules, alerts, their tests, runbooks and boards follow.

# Begins the names of objectives and the uids of boards, for services that share a Prometheus and a Grafana.
name = "{name}"

# Begins the name of every alert.
alert_prefix = "{prefix}"

# The Prometheus jobs that the objectives cover, and those of Celery's workers.
jobs = [{jobs}]
worker_jobs = ["{job}-worker"]

# What the service has. Rules, alerts, panels and runbooks about other parts are left out; `flightdeck kit check` lists
# parts of which Prometheus has no series. `monitoring` is Prometheus and Alertmanager themselves.
parts = [{parts}]

# The window of the objectives.
window = "{window}"

# A burn-rate alert needs this many failed requests in its window: a handful is not an incident.
min_failures = 5

# Routes that no objective covers: probes, streams that stay open until the client disconnects, unknown paths.
excluded = [{excluded}]

# The addresses with metrics of each job, for the generated prometheus.yml.
[targets]
{quoted_job} = [{targets}]

# Links of alerts: the address of Grafana, where runbooks/ is published, and where Alertmanager posts notifications.
[links]
dashboards = "http://localhost:3000/d"
runbooks = "http://localhost:9095/runbooks"
receiver = "http://localhost:9095"

# For `flightdeck kit build --kubernetes`: where the pods are, their labels and the name of their port with metrics, and
# the labels by which the Prometheus of the cluster selects rules and monitors.
[kubernetes]
namespace = "default"
pods = {{ "app.kubernetes.io/name" = "{name}" }}
port = "metrics"
labels = {{ release = "kube-prometheus-stack" }}

# A group of routes has one availability and one latency objective. `objective` is the share of good requests: without a
# server error, or with the last byte sent within `threshold_s`, which is a bucket of the latency histogram.
"""

GROUP: Final = """
{comment}
[groups.{name}]
title = {title}
handlers = {handlers}
availability = {{ objective = {availability!r} }}
latency = {{ objective = {latency!r}, threshold_s = {threshold_s!r} }}
"""

REST: Final = GROUP.format(
    comment="# Every route that no group lists, so that new ones are covered from the start.",
    name="rest",
    title='"All other routes"',
    handlers='"rest"',
    availability=0.999,
    latency=0.95,
    threshold_s=1.0,
)


def slo_text(discovery: Discovery, *, job: str, targets: Sequence[str], agreed: Imported | None = None) -> str:
    """Return the file for a service that is scraped under this job, with agreed objectives or with proposed ones."""
    jobs = (agreed.jobs if agreed else ()) or (job,)
    job = jobs[0]
    name = re.sub(r"[^a-z0-9]+", "-", job.lower()).strip("-") or "service"
    excluded = agreed.excluded if agreed else _excluded(discovery)
    text = HEADER.format(
        name=name,
        prefix="".join(word.capitalize() for word in name.split("-")),
        job=job,
        jobs=", ".join(map(_quoted, jobs)),
        window=agreed.window if agreed else DEFAULT_WINDOW,
        quoted_job=_quoted(job),
        parts=", ".join(map(_quoted, sorted({*discovery.parts, "monitoring"}))),
        excluded=", ".join(map(_quoted, excluded)),
        targets=", ".join(map(_quoted, targets)),
    )
    groups = map(_agreed_group, agreed.groups.items()) if agreed else [*map(_group, proposals(discovery)), REST]
    return text + "".join(groups) + "\n" + _limits()


def _excluded(discovery: Discovery) -> Iterable[str]:
    return dict.fromkeys([*(one.handler for one in discovery.routes.values() if is_excluded(one)), "unmatched"])


def _agreed_group(named: tuple[str, RouteGroup]) -> str:
    name, group = named
    rest = group.handlers == "rest"
    return GROUP.format(
        comment="# From OpenSLO.",
        name=name,
        title=_quoted(group.title),
        handlers='"rest"' if rest else f"[{', '.join(map(_quoted, group.handlers))}]",
        availability=group.availability.objective,
        latency=group.latency.objective,
        threshold_s=group.latency.threshold_s,
    )


def _group(proposal: Proposal) -> str:
    seen = f"{proposal.requests:.0f} request{'s' * (proposal.requests != 1)} seen"
    few = f"{seen}, too few to judge the latency: the threshold is a default."
    own = f"{seen}; the threshold leaves twice the time that {proposal.latency:.0%} of them took at most."
    return GROUP.format(
        comment=f"# {own if proposal.requests >= ENOUGH else few}",
        name=proposal.name,
        title=_quoted(proposal.title),
        handlers=f"[{', '.join(_handlers(proposal.routes))}]",
        availability=proposal.availability,
        latency=proposal.latency,
        threshold_s=proposal.threshold_s,
    )


def _handlers(routes: Iterable[Route]) -> Iterable[str]:
    by_traffic: Mapping[str, Route] = {route.handler: route for route in routes}
    return map(_quoted, sorted(by_traffic, key=lambda handler: -by_traffic[handler].requests))


def _limits() -> str:
    """Return the tables of limits as they are committed."""
    text = PATH.read_text("utf-8")
    return text[text.index("# Thresholds of alerts on causes") :]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
