"""Checks that every signal arrives: dashboards, metrics with exemplars, traces, logs, errors."""

from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from time import time, time_ns
from typing import Final

from lab.stack.check import Check, CheckContext, CheckFailed

SOURCES: Final = ("prometheus", "tempo", "loki")
"""The uids of the data sources with a health check in Grafana; Alertmanager's has none."""
VERIFICATION: Final = "flightdeck_stack_verification"
"""The metric that `verify` sends over OTLP; Prometheus keeps its name."""
NO_TRACE_ID: Final = "no response of an arm had an X-Trace-Id"


def grafana_checks() -> Iterator[Check]:
    for uid in SOURCES:
        yield Check(
            service="grafana",
            description=f"reads from {uid}",
            run=partial(_data_source, uid),
            fix=f"docker compose logs {uid}; its address is in grafana/provisioning/datasources/datasources.yaml",
            in_core=uid == "prometheus",
        )
    yield Check(
        service="grafana",
        description="has every dashboard",
        run=_dashboards,
        fix="make dashboards; docker compose restart grafana; docker compose logs grafana names a file it cannot read",
    )


def signal_checks() -> Iterator[Check]:
    """Yield the checks that the two requests are found by their trace ids in every signal."""
    yield Check(
        service="prometheus",
        description="links latencies to traces",
        run=_exemplars,
        fix="Prometheus needs --enable-feature=exemplar-storage; the arms need a sampler that samples",
    )
    yield Check(
        service="tempo",
        description="has the trace of a request",
        run=lambda context: _trace(context.read_trace_id, context),
        fix="docker compose logs collector tempo; OTEL_TRACES_SAMPLER of the arms decides which requests are sampled",
        in_core=False,
    )
    yield Check(
        service="tempo",
        description="has the trace of a failed request",
        run=lambda context: _trace(context.failed_trace_id, context),
        fix="docker compose logs collector tempo; the policy `errors` in deploy/collector/config.yaml keeps it",
        in_core=False,
    )
    yield Check(
        service="loki",
        description="has log lines of the same trace",
        run=_log_lines,
        fix="docker compose logs collector loki; OTEL_LOGS_EXPORTER of the arms must be otlp",
        in_core=False,
    )
    for service, metric, fix in (
        ("collector", "otelcol_receiver_accepted_spans_total", "without_type_suffix in deploy/collector/config.yaml"),
        ("collector", "traces_span_metrics_calls_total", "span_metrics in deploy/collector/config.yaml exports it"),
        ("tempo", "traces_service_graph_request_total", "metrics_generator in deploy/tempo/tempo.yaml exports it"),
        ("tempo", "traces_spanmetrics_calls_total", "metrics_generator in deploy/tempo/tempo.yaml exports it"),
    ):
        yield Check(
            service=service, description=f"exports {metric}", run=partial(_metric, metric), fix=fix, in_core=False
        )
    yield Check(
        service="collector",
        description="passes metrics over OTLP on to Prometheus",
        run=_otlp_metrics,
        fix="docker compose logs collector; Prometheus needs --web.enable-otlp-receiver",
        in_core=False,
    )
    yield Check(
        service="tempo",
        description="names the nodes of the service graph",
        run=_nodes,
        fix="peer_attributes of metrics_generator in deploy/tempo/tempo.yaml",
        in_core=False,
    )
    yield Check(
        service="node-exporter",
        description="has a result of the lab",
        run=partial(_metric, "lab_effect_headline"),
        fix="docker compose logs reference node-exporter",
        in_core=False,
    )
    yield Check(
        service="bugsink",
        description="receives error reports",
        run=partial(_metric, 'observability_export_total{signal="errors", outcome="exported"}'),
        fix="docker compose logs bugsink; SENTRY_DSN_FILE of the arms names its project",
        in_core=False,
    )


def _data_source(uid: str, context: CheckContext) -> str:
    health = context.json(f"{context.addresses['grafana']}/api/datasources/uid/{uid}/health")
    if health.get("status") != "OK":
        raise CheckFailed(str(health.get("message", health)))
    return str(health.get("message", "OK"))


def _dashboards(context: CheckContext) -> str:
    found = context.json(f"{context.addresses['grafana']}/api/search", type="dash-db", limit="1000")
    missing = sorted(context.dashboards - {one["uid"] for one in found})
    if missing:
        raise CheckFailed(f"missing: {', '.join(missing)}")
    return f"{len(context.dashboards)} dashboards"


def _exemplars(context: CheckContext) -> str:
    url = f"{context.addresses['prometheus']}/api/v1/query_exemplars"
    now = time()
    hour = {"start": f"{now - 3600:.0f}", "end": f"{now:.0f}"}
    series = context.json(url, query="http_request_duration_seconds_bucket", **hour)["data"]
    exemplars = [one for found in series for one in found["exemplars"] if "trace_id" in one["labels"]]
    if not exemplars:
        raise CheckFailed("no latency of the last hour has an exemplar with a trace_id")
    return f"{len(exemplars)} exemplars"


def _trace(trace_id: str, context: CheckContext) -> str:
    if not trace_id:
        raise CheckFailed(NO_TRACE_ID)
    proxy = f"{context.addresses['grafana']}/api/datasources/proxy/uid/tempo"
    trace = context.get(f"{proxy}/api/v2/traces/{trace_id}")
    spans = trace.text.count('"spanId"')  # the grouping of spans differs between versions of Tempo
    if not spans:
        raise CheckFailed(f"it has no span of {trace_id}")
    return f"{trace_id}: {spans} spans"


def _log_lines(context: CheckContext) -> str:
    if not context.read_trace_id:
        raise CheckFailed(NO_TRACE_ID)
    found = context.json(
        f"{context.addresses['grafana']}/api/datasources/proxy/uid/loki/loki/api/v1/query_range",
        query=f'{{service_name=~".+"}} | trace_id = "{context.read_trace_id}"',
        since="1h",
    )
    lines = [value[1] for stream in found["data"]["result"] for value in stream["values"]]
    if not lines:
        raise CheckFailed(f"it has no line with trace_id {context.read_trace_id}")
    return f"{len(lines)} lines, the first: {lines[0][:60]}"


def _otlp_metrics(context: CheckContext) -> str:
    point = {"timeUnixNano": str(time_ns()), "asDouble": 1}
    metric = {"name": VERIFICATION, "gauge": {"dataPoints": [point]}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "flightdeck-stack-verify"}}]}
    body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}
    context.post(f"{context.addresses['otlp']}/v1/metrics", body)
    return _metric(VERIFICATION, context)  # of an earlier attempt, unless this one has arrived already


def _nodes(context: CheckContext) -> str:
    edges = "traces_service_graph_request_total"
    query = f'count by (client, server) ({edges}{{client=~"flightdeck-.*"}} or {edges}{{server=~"flightdeck-.*"}})'
    result = context.json(f"{context.addresses['prometheus']}/api/v1/query", query=query)["data"]["result"]
    nodes = {edge["metric"].get(end, "") for edge in result for end in ("client", "server")}
    if addresses := sorted(node for node in nodes if is_address(node)):
        raise CheckFailed(f"an address is a node: {', '.join(addresses)}")
    if not nodes:
        raise CheckFailed("the service graph has no edge of an arm")
    return f"{len(nodes)} nodes"


def is_address(name: str) -> bool:
    """Return whether a name is an IP address, with or without a port."""
    host, _, port = name.rpartition(":")
    return any(_is_ip(one) for one in ([name, host.strip("[]")] if port.isdigit() else [name]))


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _metric(expression: str, context: CheckContext) -> str:
    url = f"{context.addresses['prometheus']}/api/v1/query"
    result = context.json(url, query=f"sum({expression}) > 0")["data"]["result"]
    if not result:
        raise CheckFailed(f"Prometheus has no value of {expression} above 0")
    return f"{float(result[0]['value'][1]):.0f}"
