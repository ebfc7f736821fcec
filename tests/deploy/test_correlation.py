"""The links between signals: Grafana's links use the names and ids that a running arm sends."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from observability import TelemetrySettings
from observability.core.resource import DISTRIBUTION
from prometheus import slo
from tests.deploy.stack_files import FILES, ROOT, content, datasources, environment, services
from tests.servers.arm import BEARER, arm_settings, running_arm
from tests.servers.http import recording

BOARD = json.loads((ROOT / "grafana/provisioning/dashboards/trace.json").read_text("utf-8"))
SOURCES = datasources()
TEMPO: dict[str, Any] = SOURCES["tempo"]["jsonData"]
LOKI: dict[str, Any] = SOURCES["loki"]["jsonData"]


@dataclass(frozen=True)
class Signals:
    """The telemetry of an arm about a request that read and one that failed."""

    trace_ids: list[str]
    """Of the header X-Trace-Id."""
    span_resource: dict[str, str]
    spans: dict[str, str]
    """Names by trace id."""
    span_ids: set[str]
    log_resource: dict[str, str]
    logged: set[str]
    """Trace ids of log records."""
    metrics: dict[str, list[dict[str, str]]]
    """Labels by metric name."""
    exemplars: list[dict[str, str]]


def _texts(resource: Resource) -> dict[str, str]:
    return {pair.key: pair.value.string_value or str(pair.value.int_value) for pair in resource.attributes}


@pytest.fixture(scope="module")
def signals(few_flights: Path) -> Signals:
    with recording() as collector:
        telemetry = TelemetrySettings(
            metrics_exporter="none",
            logs_exporter="otlp",
            otlp_endpoint=collector.url,
            service_name="flightdeck-baseline",
        )
        settings = arm_settings("pooling", few_flights, arm="baseline")
        with running_arm(settings, telemetry=telemetry) as arm:
            read = arm.client.get("/airports/JFK/departures", params={"date": "2013-01-01"})
            failed = arm.client.post("/error", headers=BEARER)
            exposition = generate_latest(arm.registry).decode()  # type: ignore[no-untyped-call]
    traces = [ExportTraceServiceRequest.FromString(body) for body in collector.bodies("/v1/traces")]
    spans = [
        span for one in traces for group in one.resource_spans for scope in group.scope_spans for span in scope.spans
    ]
    logs = [ExportLogsServiceRequest.FromString(body) for body in collector.bodies("/v1/logs")]
    families = list(text_string_to_metric_families(exposition))  # type: ignore[no-untyped-call]
    samples = [sample for family in families for sample in family.samples]
    metrics: dict[str, list[dict[str, str]]] = {}
    for sample in samples:
        metrics.setdefault(sample.name, []).append(dict(sample.labels))
    return Signals(
        trace_ids=[read.headers["x-trace-id"], failed.headers["x-trace-id"]],
        span_resource=_texts(traces[0].resource_spans[0].resource),
        spans={span.trace_id.hex(): span.name for span in spans},
        span_ids={span.span_id.hex() for span in spans},
        log_resource=_texts(logs[0].resource_logs[0].resource),
        logged={
            record.trace_id.hex()
            for one in logs
            for group in one.resource_logs
            for scope in group.scope_logs
            for record in scope.log_records
        },
        metrics=metrics,
        exemplars=[dict(sample.exemplar.labels) for sample in samples if sample.exemplar],
    )


def _as_label(attribute: str) -> str:
    """Return the name that Loki and Prometheus give an attribute."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)


def test_every_source_that_a_link_names_exists() -> None:
    named = [
        *(one["datasourceUid"] for one in _destinations() if "datasourceUid" in one),
        SOURCES["prometheus"]["jsonData"]["alertmanagerUid"],
        TEMPO["tracesToLogsV2"]["datasourceUid"],
        TEMPO["tracesToMetrics"]["datasourceUid"],
        TEMPO["serviceMap"]["datasourceUid"],
    ]
    assert set(SOURCES) == {"prometheus", "tempo", "loki", "alertmanager"}
    assert set(named) == set(SOURCES) - {"loki"} | {TEMPO["tracesToLogsV2"]["datasourceUid"]}
    assert TEMPO["tracesToLogsV2"]["datasourceUid"] == "loki"


def test_grafana_expands_no_variable_in_the_links() -> None:
    text = (ROOT / FILES["datasources"]).read_text("utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert "$$" in code
    assert re.findall(r"(?<!\$)\$(?!\$)", code.replace("$$", "")) == []


def _destinations() -> list[dict[str, Any]]:
    return [*SOURCES["prometheus"]["jsonData"]["exemplarTraceIdDestinations"], *LOKI["derivedFields"]]


def test_from_a_dot_to_its_trace(signals: Signals) -> None:
    names = {one["name"] for one in SOURCES["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]}
    assert signals.exemplars
    assert {name for exemplar in signals.exemplars for name in exemplar} == names | {"span_id"}
    assert {exemplar[name] for exemplar in signals.exemplars for name in names} <= set(signals.spans)
    assert {exemplar["span_id"] for exemplar in signals.exemplars} <= signals.span_ids
    tempo = content(FILES["tempo"])["overrides"]["defaults"]["metrics_generator"]["trace_id_label_name"]
    assert {tempo} == names


def test_the_trace_behind_a_dot_is_kept(signals: Signals) -> None:
    sampling = content(FILES["collector"])["processors"]["tail_sampling"]["policies"]
    kept = next(one["string_attribute"] for one in sampling if one["type"] == "string_attribute")
    assert kept["key"] == DISTRIBUTION
    assert signals.span_resource[kept["key"]] in kept["values"]


def test_from_a_trace_to_its_logs(signals: Signals) -> None:
    link = TEMPO["tracesToLogsV2"]
    for tag in link["tags"]:
        assert signals.log_resource[tag["key"]] == signals.span_resource[tag["key"]]
        assert tag["value"] == _as_label(tag["key"])
    assert link["query"] == '{${__tags}} | trace_id = "${__trace.traceId}"'
    assert set(signals.trace_ids) <= signals.logged & set(signals.spans)


def test_from_a_trace_to_its_metrics(signals: Signals) -> None:
    link = TEMPO["tracesToMetrics"]
    [tag] = link["tags"]
    assert signals.span_resource[tag["key"]] == "baseline"
    jobs = content("prometheus/prometheus.yml")["scrape_configs"]
    labelled = [one["labels"] for job in jobs for one in job.get("static_configs", ()) if "labels" in one]
    assert {tag["value"]: "baseline"} in labelled
    for query in link["queries"]:
        assert "$__tags" in query["query"]
        names = re.findall(r"\b([a-z_]+)\{", query["query"])
        assert names
        for name in names:
            assert name in signals.metrics, query["name"]
        for label, value in re.findall(r'([a-z_]+)="([^"]+)"', query["query"]):
            assert value in {labels.get(label) for labels in signals.metrics[names[0]]}, query["name"]


def test_from_a_log_line_to_its_trace(signals: Signals) -> None:
    for field in LOKI["derivedFields"]:
        # Loki keeps the id of an OTLP record as structured metadata of this name.
        assert (field["matcherType"], field["matcherRegex"]) == ("label", "trace_id")
    assert set(signals.trace_ids) <= signals.logged


def test_every_link_to_a_trace_sets_the_variable_of_its_board() -> None:
    links = [one["url"] for one in _destinations() if one.get("url", "").startswith("/")]
    links += [services()["optimized"]["environment"]["TRACES_URL"]]
    variables = [one["name"] for one in BOARD["templating"]["list"]]
    assert len(links) == 3
    for link in links:
        assert f"/d/{BOARD['uid']}" in link
        assert re.findall(r"var-(\w+)=", link) in ([], variables)


def test_from_an_error_report_to_its_trace() -> None:
    link = TelemetrySettings.from_environ(services()["optimized"]["environment"]).trace_url
    assert link == f"http://localhost:{environment()['GRAFANA_PORT']}/d/{BOARD['uid']}?var-trace={{trace_id}}"


def test_the_board_of_one_trace_uses_data_sources_that_exist() -> None:
    used = [target["datasource"] for panel in BOARD["panels"] for target in panel["targets"]]
    assert {(one["uid"], one["type"]) for one in used} == {("tempo", "tempo"), ("loki", "loki")}
    for one in used:
        assert SOURCES[one["uid"]]["type"] == one["type"]
    assert "{service_name=~" in BOARD["panels"][1]["targets"][0]["expr"]


def _mounted(path: str, service: dict[str, Any]) -> Path:
    """Return the file of the repository that a container sees at this path."""
    mounts: list[list[str]] = [one.split(":")[:2] for one in service["volumes"] if one.startswith("./")]
    source, target = next((source, target) for source, target in mounts if path.startswith(target))
    return ROOT / (source + path.removeprefix(target))


def test_grafana_loads_the_boards_and_opens_the_first() -> None:
    grafana = services()["grafana"]
    folders = [_mounted(one["options"]["path"], grafana) for one in content(FILES["dashboards"])["providers"]]
    assert [folder.relative_to(ROOT).as_posix() for folder in folders] == [
        "grafana/dashboards",
        "grafana/provisioning/dashboards",
    ]
    home = _mounted(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"], grafana)
    assert json.loads(home.read_text("utf-8"))["uid"] == "flightdeck-start"
    assert _mounted("/etc/grafana/provisioning/datasources", grafana).is_dir()


def test_anonymous_users_are_viewers_and_the_password_is_not_in_the_repository() -> None:
    settings = services()["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in settings
    assert settings["GF_SECURITY_ADMIN_PASSWORD__FILE"].startswith("/run/flightdeck/")
    assert {port.split(":")[0] for port in services()["grafana"]["ports"]} == {"127.0.0.1"}


def test_from_an_alert_to_its_board_and_its_runbook() -> None:
    links = slo.load().links
    assert links.dashboards == f"http://localhost:{environment()['GRAFANA_PORT']}/d"
    assert links.runbooks == f"http://localhost:{environment()['RECEIVER_PORT']}/runbooks"
    assert services()["receiver"]["ports"] == [f"127.0.0.1:{environment()['RECEIVER_PORT']}:9095"]


def test_the_step_of_panels_is_the_scrape_interval() -> None:
    interval = content("prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert SOURCES["prometheus"]["jsonData"]["timeInterval"] == interval
