"""Files of servers that no test can start: they use documented settings and agree with each other and the code."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS
from sqlalchemy.ext.asyncio import create_async_engine

from observability.core.resource import DISTRIBUTION
from observability.core.semconv import DB_NAMESPACE, DB_SYSTEM_NAME, SERVICE_PEER_NAME
from observability.core.settings import TelemetrySettings
from observability.database.instrument_engine import span_attributes
from observability.logs.bounds import MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, MAX_BODY_BYTES
from observability.logs.otlp import MAX_REQUEST_BYTES
from observability.tracing.fast_path.otlp import MAX_STACKTRACE_BYTES
from observability.tracing.http_span import request_attributes, scope_fields
from prometheus import slo
from tests.deploy.stack_files import FILES, ROOT, content, environment, mebibytes, schema, seconds, services

Config = dict[str, Any]
COLLECTOR: Config = content(FILES["collector"])
TEMPO: Config = content(FILES["tempo"])
LOKI: Config = content(FILES["loki"])
PIPELINES: dict[str, Config] = COLLECTOR["service"]["pipelines"]
SAMPLING: Config = COLLECTOR["processors"]["tail_sampling"]


@pytest.mark.parametrize("name", FILES)
def test_only_documented_settings_are_used(name: str) -> None:
    wrong = jsonschema_rs.validator_for(schema(name)).iter_errors(content(FILES[name]))
    assert [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in wrong] == []


def _with(path: str, value: object) -> Callable[[Config], None]:
    *parents, last = path.split(" ")

    def change(config: Config) -> None:
        place: Any = config
        for name in parents:
            place = place[int(name) if name.isdigit() else name]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("collector", _with("exporters otlphttp", {}), id="an exporter's old name"),
        pytest.param("collector", _with("connectors spanmetrics", {}), id="a connector's old name"),
        pytest.param("collector", _with("processors tail_sampling decision_waits", "3s"), id="a misspelt setting"),
        pytest.param("collector", _with("processors tail_sampling decision_wait", 3), id="a duration without a unit"),
        pytest.param("collector", _with("service telemetry metrics address", ":8888"), id="a removed setting"),
        pytest.param("tempo", _with("ingester", {}), id="Tempo 2's ingester"),
        pytest.param("tempo", _with("compactor", {"compaction": {}}), id="Tempo 2's compactor"),
        pytest.param("tempo", _with("overrides metrics_generator_processors", []), id="Tempo 2's flat overrides"),
        pytest.param("loki", _with("schema_config configs 0 schema", "v12"), id="a schema without OTLP"),
        pytest.param("loki", _with("table_manager", {}), id="a removed section of Loki"),
        pytest.param("loki", _with("compactor", {"retention_enabled": True}), id="retention without a store"),
        pytest.param("datasources", _with("datasources 1 jsonData tracesToLogs", {}), id="the first traces to logs"),
        pytest.param("datasources", _with("datasources 0 uid", ""), id="a data source without a uid"),
        pytest.param("dashboards", _with("providers 0 options", {}), id="dashboards without a path"),
    ],
)
def test_a_setting_that_stops_a_server_is_found(name: str, change: Callable[[Config], None]) -> None:
    config = copy.deepcopy(content(FILES[name]))
    change(config)
    assert not jsonschema_rs.validator_for(schema(name)).is_valid(config)


@pytest.mark.parametrize("kind", ["receivers", "processors", "exporters"])
def test_pipelines_use_every_component_that_is_defined(kind: str) -> None:
    connectors = set(COLLECTOR["connectors"]) if kind != "processors" else set()
    used = {name for pipeline in PIPELINES.values() for name in pipeline.get(kind, ())}
    assert used == set(COLLECTOR[kind]) | connectors
    assert COLLECTOR["service"]["extensions"] == list(COLLECTOR["extensions"])


def test_the_collector_of_the_tests_has_the_version_and_the_components_of_the_stack() -> None:
    manifest = content("deploy/tools/collector.yaml")
    _, version = environment()["COLLECTOR_IMAGE"].split(":")
    kinds = ("receivers", "processors", "connectors", "exporters", "extensions")
    modules = {kind: [one["gomod"].split() for one in manifest[kind]] for kind in kinds}
    assert manifest["dist"]["version"] == version
    assert {release for found in modules.values() for _, release in found} == {f"v{version}"}
    # `otlp_http/loki` is of the module …/exporter/otlphttpexporter, and `otlp_grpc` of …/otlpexporter.
    names = {"otlp_grpc": "otlp"}
    for kind, found in modules.items():
        used = {name.partition("/")[0] for name in COLLECTOR[kind]}
        assert {path.rpartition("/")[2] for path, _ in found} == {
            f"{names.get(name, name).replace('_', '')}{kind.removesuffix('s')}" for name in used
        }
    tools = (ROOT / "deploy/tools/go.mod").read_text("utf-8")
    assert f"go.opentelemetry.io/collector/cmd/builder v{version} " in tools


@pytest.mark.parametrize("name", [name for name, one in PIPELINES.items() if "otlp" in one["receivers"]])
def test_memory_is_limited_before_anything_else(name: str) -> None:
    assert PIPELINES[name]["processors"][0] == "memory_limiter"


def test_the_collectors_garbage_collection_comes_before_its_memory_limiter() -> None:
    container, limiter = services()["collector"], COLLECTOR["processors"]["memory_limiter"]
    soft = limiter["limit_percentage"] - limiter["spike_limit_percentage"]
    assert go_limit("collector") < mebibytes(container["mem_limit"]) * soft / 100


def test_the_caches_of_loki_fit_into_its_memory() -> None:
    caches = [LOKI["query_range"]["results_cache"]["cache"], LOKI["chunk_store_config"]["chunk_cache_config"]]
    assert sum(cache["embedded_cache"]["max_size_mb"] for cache in caches) < go_limit("loki") / 2
    assert go_limit("loki") < mebibytes(services()["loki"]["mem_limit"]) * 0.85


def go_limit(name: str) -> int:
    """Return the memory in MiB from which on the Go runtime of a service collects more often."""
    return int(services()[name]["environment"]["GOMEMLIMIT"].removesuffix("MiB"))


def test_rabbitmq_is_limited_by_its_container_and_not_by_its_host() -> None:
    rabbitmq = services()["rabbitmq"]
    text = (ROOT / "deploy/rabbitmq/memory.conf").read_text("utf-8")
    found = re.search(r"^vm_memory_high_watermark.absolute = (\d+)MiB$", text, re.MULTILINE)
    assert found
    # A health check starts another Erlang VM beside the server.
    assert int(found[1]) + 2 * 70 < mebibytes(rabbitmq["mem_limit"])
    assert rabbitmq["ulimits"]["nofile"] <= 20_000
    assert any(
        volume.startswith("./deploy/rabbitmq/memory.conf:/etc/rabbitmq/conf.d/") for volume in rabbitmq["volumes"]
    )


def test_redis_loads_no_modules() -> None:
    assert services()["redis"]["entrypoint"] == ["redis-server"]


def test_the_collectors_counters_end_as_the_dashboards_have_them() -> None:
    [reader] = COLLECTOR["service"]["telemetry"]["metrics"]["readers"]
    assert reader["pull"]["exporter"]["prometheus"]["without_type_suffix"] is False


def test_spans_are_counted_before_any_is_dropped() -> None:
    counting = [one for one in PIPELINES.values() if "span_metrics" in one["exporters"]]
    assert [one["receivers"] for one in counting] == [["otlp"]]
    assert "tail_sampling" not in counting[0]["processors"]
    assert "exemplars" not in COLLECTOR["connectors"]["span_metrics"]  # they could link to dropped traces


def test_only_sampled_traces_reach_tempo() -> None:
    to_tempo = [one for one in PIPELINES.values() if "otlp_grpc/tempo" in one["exporters"]]
    assert [one["processors"][-1] for one in to_tempo] == ["tail_sampling"]


def _policy(kind: str) -> Config:
    [found] = [one for one in SAMPLING["policies"] if one["type"] == kind]
    return dict(found[kind])


def test_failed_requests_are_kept() -> None:
    assert _policy("status_code") == {"status_codes": ["ERROR"]}


def test_requests_that_miss_an_objective_are_kept() -> None:
    objectives = slo.load()
    strictest_s = min(group.latency.threshold_s for group in objectives.groups.values() if group.latency)
    assert _policy("latency")["threshold_ms"] <= strictest_s * 1000


def test_traces_that_an_exemplar_can_link_to_are_kept() -> None:
    assert _policy("string_attribute") == {"key": DISTRIBUTION, "values": ["observability"]}


def test_the_sampling_decision_waits_for_the_server_span_but_not_for_long() -> None:
    settings = TelemetrySettings.from_environ(
        {"OTEL_BSP_SCHEDULE_DELAY": services()["optimized"]["environment"]["OTEL_BSP_SCHEDULE_DELAY"]}
    )
    assert settings.export_delay_ms / 1000 + 1 <= seconds(SAMPLING["decision_wait"])
    assert 2 <= seconds(SAMPLING["decision_wait"]) <= 5


def test_the_service_graph_names_peers_and_has_no_address_of_a_request_from_outside() -> None:
    """Of a root server span, Tempo names the client by the first peer attribute that the span has, or else `user`."""
    peers = TEMPO["metrics_generator"]["processor"]["service_graphs"]["peer_attributes"]
    scope = {
        "path": "/",
        "headers": [(b"user-agent", b"curl")],
        "server": ("172.18.0.5", 8000),
        "client": ("172.18.0.1", 50_000),
        "query_string": b"date=2013-07-04",
    }
    _, attributes = request_attributes(scope_fields(scope))
    assert {SERVER_ADDRESS, CLIENT_ADDRESS} <= attributes.keys()
    assert set(peers) & attributes.keys() == set()
    assert SERVICE_PEER_NAME in peers


def test_the_service_graph_names_databases_by_their_host() -> None:
    """Tempo does for spans with `db.namespace`; for others it takes the first peer attribute, so the system."""
    url = "postgresql+asyncpg://flightdeck:secret@replica:5432/flightdeck"
    attributes = span_attributes("replica", create_async_engine(url).sync_engine)
    assert attributes[DB_NAMESPACE]
    assert attributes[SERVER_ADDRESS] == "replica"
    peers = TEMPO["metrics_generator"]["processor"]["service_graphs"]["peer_attributes"]
    assert [name for name in peers if name in attributes] == [DB_SYSTEM_NAME]


def test_export_queues_are_bounded() -> None:
    sending = [one for name, one in COLLECTOR["exporters"].items() if name.startswith("otlp")]
    assert len(sending) == 3
    for exporter in sending:
        assert exporter["sending_queue"]["queue_size"] <= 1000
        assert seconds(exporter["retry_on_failure"]["max_elapsed_time"]) <= 300


def test_batches_are_smaller_than_what_back_ends_accept() -> None:
    """In bytes, because a request may have any number of spans; with their defaults, because others have those."""
    default = 4 * 1024 * 1024
    for exporter in ("otlp_grpc/tempo", "otlp_http/loki", "otlp_http/prometheus"):
        batch = COLLECTOR["exporters"][exporter]["sending_queue"]["batch"]
        assert batch["sizer"] == "bytes"
        assert batch["min_size"] < batch["max_size"] < default
    assert default > MAX_REQUEST_BYTES
    receivers = COLLECTOR["receivers"]["otlp"]["protocols"], TEMPO["distributor"]["receivers"]["otlp"]["protocols"]
    assert all(receiver["grpc"]["max_recv_msg_size_mib"] * 1024 * 1024 > default for receiver in receivers)


def test_the_back_ends_accept_every_record_and_attribute_that_observability_exports() -> None:
    limits = LOKI["limits_config"]
    assert kibibytes(limits["max_line_size"]) * 1024 > MAX_BODY_BYTES
    assert kibibytes(limits["max_structured_metadata_size"]) * 1024 > MAX_ATTRIBUTES_BYTES
    assert limits["max_structured_metadata_entries_count"] > MAX_ATTRIBUTES
    assert limits["max_line_size_truncate"] is True
    assert TEMPO["distributor"]["max_attribute_bytes"] > MAX_STACKTRACE_BYTES


def kibibytes(text: str) -> int:
    return int(text[:-2]) * {"KB": 1, "MB": 1024}[text[-2:]]


def _scraped() -> Iterator[tuple[str, int]]:
    for job in content("prometheus/prometheus.yml")["scrape_configs"]:
        for found in job.get("dns_sd_configs", ()):
            yield from ((name, found["port"]) for name in found["names"])


def _port(endpoint: str) -> int:
    return int(endpoint.rsplit(":", 1)[1].split("/", maxsplit=1)[0])


def test_every_address_names_a_port_that_is_open() -> None:
    protocols = COLLECTOR["receivers"]["otlp"]["protocols"]
    reader = COLLECTOR["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    listens = {
        "collector": {
            _port(protocols["http"]["endpoint"]),
            reader["port"],
            _port(COLLECTOR["exporters"]["prometheus"]["endpoint"]),
        },
        "tempo": {
            _port(TEMPO["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]),
            TEMPO["server"]["http_listen_port"],
        },
        "loki": {LOKI["server"]["http_listen_port"]},
        "prometheus": {9090},
        "alertmanager": {9093},
        "grafana": {3000},
    }
    urls = [
        services()["optimized"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"],
        COLLECTOR["exporters"]["otlp_grpc/tempo"]["endpoint"],
        COLLECTOR["exporters"]["otlp_http/loki"]["endpoint"],
        COLLECTOR["exporters"]["otlp_http/prometheus"]["endpoint"],
        *(one["url"] for one in TEMPO["metrics_generator"]["storage"]["remote_write"]),
        *(one["url"] for one in content(FILES["datasources"])["datasources"]),
    ]
    wanted = [re.fullmatch(r"(?:http://)?([a-z]+):(\d+)(?:/.*)?", url) for url in urls]
    addresses = [(found[1], int(found[2])) for found in wanted if found]
    scraped = [(host, port) for host, port in _scraped() if host in listens]
    assert len(addresses) == len(urls)
    assert {host for host, _ in scraped} == {"collector", "tempo", "loki", "grafana"}
    assert [(host, port) for host, port in [*addresses, *scraped] if port not in listens[host]] == []


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("collector", "/etc/otelcol-contrib/config.yaml"),
        ("tempo", "/etc/tempo/tempo.yaml"),
        ("loki", "/etc/loki/loki.yaml"),
    ],
)
def test_containers_get_the_files_that_are_checked_here(name: str, target: str) -> None:
    service = services()[name]
    assert f"./{FILES[name]}:{target}:ro" in service["volumes"]
    command = service.get("command", [f"-config.file={target}"])  # the default of the collector's image
    assert command == [f"-config.file={target}"]


@pytest.mark.parametrize("path", [TEMPO["storage"]["trace"]["local"]["path"], LOKI["common"]["path_prefix"]])
def test_data_is_stored_in_a_volume(path: str) -> None:
    name = "tempo" if "tempo" in path else "loki"
    target = next(one.split(":")[1] for one in services()[name]["volumes"] if one.startswith(f"{name}:"))
    assert path.startswith(target)


def test_prometheus_accepts_the_remote_writes_of_tempo_with_exemplars() -> None:
    flags = services()["prometheus"]["command"]
    assert "--web.enable-remote-write-receiver" in flags
    assert "--enable-feature=exemplar-storage" in flags
    assert TEMPO["metrics_generator"]["storage"]["remote_write"][0]["send_exemplars"] is True


def test_metrics_of_other_services_reach_prometheus_over_otlp() -> None:
    collector, prometheus = services()["collector"], services()["prometheus"]
    protocols = COLLECTOR["receivers"]["otlp"]["protocols"]
    published = {int(port.rsplit(":", 1)[1]) for port in collector["ports"]}
    assert published == {_port(protocols[protocol]["endpoint"]) for protocol in ("grpc", "http")}
    [received] = [one for name, one in PIPELINES.items() if name.startswith("metrics") and "otlp" in one["receivers"]]
    assert received["exporters"] == ["otlp_http/prometheus"]
    exporter = COLLECTOR["exporters"]["otlp_http/prometheus"]
    assert exporter["endpoint"] == "http://prometheus:9090/api/v1/otlp"
    assert exporter["sending_queue"]["num_consumers"] == 1  # samples stay in order
    assert "--web.enable-otlp-receiver" in prometheus["entrypoint"][-2]


def test_the_versions_in_the_files_are_the_versions_that_run() -> None:
    images = environment()
    for name in ("collector", "tempo", "loki", "datasources", "dashboards"):
        image = images["GRAFANA_IMAGE" if name in {"datasources", "dashboards"} else f"{name.upper()}_IMAGE"]
        first = (ROOT / FILES[name]).read_text("utf-8").splitlines()[0]
        assert image.rsplit(":", 1)[1] in first


def test_without_a_collector_nothing_is_exported() -> None:
    assert services()["collector"]["profiles"] == ["all"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(
        r"^\t\$\(if \$\(CORE\),OTLP_ENDPOINT=\) docker compose \$\(if \$\(CORE\),--profile core\) up",
        makefile,
        re.MULTILINE,
    )
    assert environment()["OTLP_ENDPOINT"] == services()["optimized"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert not TelemetrySettings.from_environ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}).otlp_endpoint
