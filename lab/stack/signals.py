"""Every signal arrives: boards, metrics with links, traces, logs, errors."""

from collections.abc import Callable, Iterator
from time import time
from typing import Final

from lab.stack.check import Check, Visit, Wrong

SOURCES: Final = ("prometheus", "tempo", "loki")
"""The uids of the data sources that Grafana can examine itself; Alertmanager's has no such examination."""


def grafana_checks() -> Iterator[Check]:
    """Yield the checks that Grafana reaches its sources and has every board."""
    for uid in SOURCES:
        yield Check(
            part="grafana",
            claim=f"reads from {uid}",
            seen=_source(uid),
            fix=f"docker compose logs {uid}; its address is in grafana/provisioning/datasources/datasources.yaml",
            in_core=uid == "prometheus",
        )
    yield Check(
        part="grafana",
        claim="has every board",
        seen=_boards,
        fix="make dashboards; docker compose restart grafana; docker compose logs grafana names a file it can not read",
    )


def signal_checks() -> Iterator[Check]:
    """Yield the checks that a request just made can be found by its trace id, everywhere."""
    yield Check(
        part="prometheus",
        claim="links latencies to traces",
        seen=_exemplars,
        fix="Prometheus needs --enable-feature=exemplar-storage; the arms need a sampler that samples",
    )
    yield Check(
        part="tempo",
        claim="has the trace of a request",
        seen=_trace(lambda visit: visit.read_trace),
        fix="docker compose logs collector tempo; OTEL_TRACES_SAMPLER of the arms decides which requests are traced",
        in_core=False,
    )
    yield Check(
        part="tempo",
        claim="has the trace of a failed request",
        seen=_trace(lambda visit: visit.failed_trace),
        fix="docker compose logs collector tempo; the policy `errors` in deploy/collector/config.yaml keeps it",
        in_core=False,
    )
    yield Check(
        part="loki",
        claim="has log lines of the same trace",
        seen=_lines,
        fix="docker compose logs collector loki; OTEL_LOGS_EXPORTER of the arms must be otlp",
        in_core=False,
    )
    for part, metric, fix in (
        ("collector", "traces_span_metrics_calls_total", "span_metrics in deploy/collector/config.yaml makes it"),
        ("tempo", "traces_service_graph_request_total", "metrics_generator in deploy/tempo/tempo.yaml makes it"),
        ("tempo", "traces_spanmetrics_calls_total", "metrics_generator in deploy/tempo/tempo.yaml makes it"),
    ):
        yield Check(part=part, claim=f"makes {metric}", seen=_metric(metric), fix=fix, in_core=False)
    yield Check(
        part="bugsink",
        claim="takes error reports",
        seen=_metric('observability_export_total{signal="errors", outcome="exported"}'),
        fix="docker compose logs bugsink; SENTRY_DSN_FILE of the arms names its project",
        in_core=False,
    )


def _source(uid: str) -> Callable[[Visit], str]:
    def seen(visit: Visit) -> str:
        answer = visit.json(f"{visit.at['grafana']}/api/datasources/uid/{uid}/health")
        if answer.get("status") != "OK":
            raise Wrong(str(answer.get("message", answer)))
        return str(answer.get("message", "OK"))

    return seen


def _boards(visit: Visit) -> str:
    found = {one["uid"] for one in visit.json(f"{visit.at['grafana']}/api/search", type="dash-db", limit="1000")}
    missing = sorted(visit.boards - found)
    if missing:
        raise Wrong(f"missing: {', '.join(missing)}")
    return f"{len(visit.boards)} boards"


def _exemplars(visit: Visit) -> str:
    series = visit.json(
        f"{visit.at['prometheus']}/api/v1/query_exemplars", query="http_request_duration_seconds_bucket", **_last_hour()
    )["data"]
    exemplars = [one for found in series for one in found["exemplars"] if "trace_id" in one["labels"]]
    if not exemplars:
        raise Wrong("no latency of the last hour has an exemplar with a trace_id")
    return f"{len(exemplars)} exemplars"


def _last_hour() -> dict[str, str]:
    now = time()
    return {"start": f"{now - 3600:.0f}", "end": f"{now:.0f}"}


def _trace(wanted: Callable[[Visit], str]) -> Callable[[Visit], str]:
    def seen(visit: Visit) -> str:
        trace_id = wanted(visit)
        if not trace_id:
            raise Wrong("no arm answered with an X-Trace-Id")
        answer = visit.get(f"{visit.at['grafana']}/api/datasources/proxy/uid/tempo/api/v2/traces/{trace_id}")
        number = answer.text.count('"spanId"')  # in whatever groups this version of Tempo answers
        if not number:
            raise Wrong(f"it knows no span of {trace_id}")
        return f"{trace_id}: {number} spans"

    return seen


def _lines(visit: Visit) -> str:
    if not visit.read_trace:
        raise Wrong("no arm answered with an X-Trace-Id")
    answer = visit.json(
        f"{visit.at['grafana']}/api/datasources/proxy/uid/loki/loki/api/v1/query_range",
        query=f'{{service_name=~".+"}} | trace_id = "{visit.read_trace}"',
        since="1h",
    )
    lines = [value[1] for stream in answer["data"]["result"] for value in stream["values"]]
    if not lines:
        raise Wrong(f"it has no line with trace_id {visit.read_trace}")
    return f"{len(lines)} lines, the first: {lines[0][:60]}"


def _metric(expression: str) -> Callable[[Visit], str]:
    def seen(visit: Visit) -> str:
        answer = visit.json(f"{visit.at['prometheus']}/api/v1/query", query=f"sum({expression}) > 0")
        if not answer["data"]["result"]:
            raise Wrong(f"Prometheus has no value of {expression} above 0")
        return f"{float(answer['data']['result'][0]['value'][1]):.0f}"

    return seen
