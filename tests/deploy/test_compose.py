"""The compose file on a real Docker engine: every service that has an image."""

import json
import os
import re
import struct
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Thread
from time import sleep, time, time_ns
from typing import Any, Final

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from prometheus.expression import series_in
from service.techniques import ARMS
from tests.deploy.overlay import STARTED, Overlay
from tests.deploy.stack import EXCLUDED, ROOT, Stack, eventually
from tests.deploy.stack_files import environment
from tests.grafana.committed import committed, opened
from tests.grafana.exporters import OF_EXPORTERS
from tests.grafana.prometheus_api import PrometheusApi
from tests.grafana.template import Range
from tests.servers.program import installed

pytestmark = [pytest.mark.server("docker"), pytest.mark.timeout(1800)]

BOARD: Final = "/airports/JFK/departures?date=2013-07-04"
HANDLER: Final = 'handler="/airports/{faa}/departures"'
EDGE: Final = "/tmp/edge/varnish"  # noqa: S108 in the container, in memory
ONE_SHOTS: Final = {"secrets", "migrations", "data", "reference", "addresses"}
# Their images have no client for a health check.
UNCHECKED: Final = {"collector", "tempo"}
# What replaces them exposes no metrics.
NOT_SCRAPED: Final = {"tempo", "loki"}
# Not before the first failure, the first metric that is sent by OTLP, and the first run of the lab.
LATER: Final = re.compile(
    r"otelcol_exporter_(enqueue|send)_failed_\w+|otelcol_receiver_\w+_metric_points_total|lab_experiment_running"
)


@pytest.fixture(scope="module")
def stack(docker_environment: dict[str, str]) -> Iterator[Stack]:
    stack = Stack(docker_environment, project=f"flightdeck-test-{os.getpid()}")
    try:
        stack.up()
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout=5", check=False)


@pytest.fixture(scope="module")
def boards(stack: Stack) -> None:
    """Request one board often from every arm: for minutes half of the boards that Locust requests are first ones."""
    for _ in range(30):
        for arm in ("baseline", "caching", "pooling", "compression", "edge"):
            response = httpx.get(stack.url(arm, BOARD), headers={"accept-encoding": "zstd"}, timeout=60)
            assert response.status_code == 200


def test_every_service_that_has_an_image_is_healthy(stack: Stack) -> None:
    names = set(stack.compose("config", "--services").split()) - EXCLUDED
    states = {one["Service"]: (one["State"], one["Health"] or one["ExitCode"]) for one in stack.containers()}
    running = {name: ("running", 0 if name in UNCHECKED else "healthy") for name in names}
    assert states == running | dict.fromkeys(ONE_SHOTS, ("exited", 0))


def test_the_stack_prints_the_addresses_of_what_runs(stack: Stack) -> None:
    printed = stack.compose("logs", "--no-log-prefix", "addresses")
    for name in ("edge", "baseline", "prometheus", "bugsink", "locust", "rabbitmq"):
        assert f"http://localhost:{stack.ports[name]} " in printed
    assert "Grafana" not in printed


def test_prometheus_has_the_reference_result_of_the_lab(stack: Stack) -> None:
    eventually(lambda: stack.query("count(lab_effect_headline == 1)"), seconds=90)
    eventually(lambda: stack.query("lab_machine_info"))


def test_every_process_runs_without_root(stack: Stack) -> None:
    for container in stack.containers():
        if container["State"] == "running":
            processes = stack.docker("top", container["ID"], "-eo", "pid,uid").splitlines()[1:]
            assert "0" not in {process.split()[1] for process in processes}, container["Service"]


def test_prometheus_sees_every_target_up(stack: Stack) -> None:
    jobs = {
        "service": 1,
        "comparison": 4,
        "worker": 2,
        "prometheus": 1,
        "alertmanager": 1,
        "postgres": 1,
        "replica": 1,
        "collector": 1,
        "spans": 1,
        "redis": 1,
        "rabbitmq": 1,
        "flower": 1,
        "host": 1,
    }

    def up() -> bool:
        healths = [(target["labels"]["job"], target["health"]) for target in stack.targets()]
        return sorted(health for health in healths if health[0] not in NOT_SCRAPED) == sorted(
            (job, "up") for job, number in jobs.items() for _ in range(number)
        )

    eventually(up, seconds=90)


def test_the_prometheus_of_the_stack_evaluates_every_rule(stack: Stack) -> None:
    def rules() -> list[dict[str, Any]]:
        groups = httpx.get(stack.url("prometheus", "/api/v1/rules"), timeout=60).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    eventually(lambda: rules() and all(rule["health"] != "unknown" for rule in rules()), seconds=90)
    assert [(rule["name"], rule.get("lastError")) for rule in rules() if rule["health"] != "ok"] == []


def test_every_alert_fires_when_it_should_in_the_version_of_the_stack(stack: Stack, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)  # writable for the user in the container
    promtool = ["run", "--rm", "--no-deps", f"--volume={tmp_path}:/tmp", "--entrypoint=promtool", "prometheus"]
    assert re.search(r"promtool, version 3\.", stack.compose(*promtool, "--version"))
    tests = [f"/etc/prometheus/tests/{path.name}" for path in sorted((ROOT / "prometheus/tests").glob("*.yml"))]
    assert tests
    assert "SUCCESS" in stack.compose(*promtool, "test", "rules", *tests, timeout_s=300)


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_has_its_techniques(stack: Stack, arm: str) -> None:
    url = stack.url("edge" if arm == "optimized" else arm, "/")
    landing = httpx.get(url, headers={"accept": "application/json"}, timeout=60).json()
    assert landing["arm"] == arm
    assert {name for name, is_on in landing["techniques"].items() if is_on} == ARMS[arm]
    assert landing["links"]["Errors"] == stack.url("bugsink").replace("127.0.0.1", "localhost")


@pytest.mark.usefixtures("boards")
def test_compression_sends_a_fraction_of_the_bytes(stack: Stack) -> None:
    bytes_per_board = f"sum by (arm) (http_response_size_bytes_sum{{{HANDLER}}} / http_response_size_bytes_count)"

    def claim() -> bool:
        found = stack.query(bytes_per_board)
        return {"baseline", "compression"} <= found.keys() and found["compression"] < found["baseline"] / 4

    eventually(claim)


@pytest.mark.usefixtures("boards")
def test_pooling_avoids_a_connect_per_request(stack: Stack) -> None:
    connects = "sum by (arm) (db_client_connection_create_time_seconds_count) / sum by (arm) (http_requests_total)"

    def claim() -> bool:
        found = stack.query(connects)
        return {"baseline", "pooling"} <= found.keys() and found["pooling"] < found["baseline"] / 3

    eventually(claim)


@pytest.mark.usefixtures("boards")
def test_caching_avoids_queries(stack: Stack) -> None:
    hits = 'sum by (arm) (cache_requests_total{result="hit"})'
    queries = f"sum by (arm) (db_queries_per_request_sum{{{HANDLER}}} / db_queries_per_request_count)"

    def claim() -> bool:
        by_hits, by_queries = stack.query(hits), stack.query(queries)
        return by_hits.get("caching", 0) > 0 and by_queries["caching"] < by_queries["baseline"] / 2

    eventually(claim)
    assert "baseline" not in stack.query(hits)


def test_a_write_through_any_arm_on_the_same_tables_invalidates_the_cache_of_caching(stack: Stack) -> None:
    token = stack.compose("exec", "-T", "caching", "cat", "/run/flightdeck/write_token").strip()
    bearer = {"authorization": f"Bearer {token}"}
    board = "/airports/EWR/departures?date=2013-07-06"
    flight = httpx.get(stack.url("caching", board), timeout=60).json()["items"][0]["id"]

    def shown() -> set[int]:
        items = httpx.get(stack.url("caching", board), timeout=60).json()["items"]
        return {one["departure_delay_min"] for one in items if one["id"] == flight}

    for delay_min, arm in enumerate(("baseline", "pooling", "compression", "caching"), start=1001):
        httpx.get(stack.url("caching", board), timeout=60)
        assert "; hit" in httpx.get(stack.url("caching", board), timeout=60).headers["cache-status"]
        change = {"status": "departed", "departure_delay_min": delay_min}
        response = httpx.patch(stack.url(arm, f"/flights/{flight}/status"), json=change, headers=bearer, timeout=60)
        assert response.status_code == 200
        eventually(lambda: shown() == {delay_min}, seconds=60)  # noqa: B023 called at once


def test_the_edge_caches_and_its_counters_are_scraped(stack: Stack) -> None:
    path = "/airports/LGA/departures?date=2013-07-05"
    responses = [httpx.get(stack.url("edge", path), timeout=60) for _ in range(2)]
    assert "edge; hit" in responses[1].headers["cache-status"]
    eventually(lambda: stack.query("varnish_main_cache_hit > 0"))


def test_reads_of_the_optimized_arm_go_to_the_streaming_replica(stack: Stack) -> None:
    eventually(lambda: stack.query("db_replica_up == 1").get("optimized"))
    eventually(lambda: stack.query('sum by (arm) (db_reads_total{role="replica"}) > 0').get("optimized"))
    following = "SELECT state FROM pg_stat_replication WHERE application_name = 'replica'"
    query = ["exec", "-T", "postgres", "psql", "-U", "postgres", "-Atc", following]
    assert stack.compose(*query).strip() == "streaming"


def test_every_process_exports_traces_and_logs(stack: Stack) -> None:
    response = httpx.get(stack.url("baseline", "/flights/1"), timeout=60)
    trace_id = response.headers["x-trace-id"]
    eventually(lambda: httpx.get(stack.url("counter", f"/traces/{trace_id}")).json())

    def senders() -> bool:
        counts = httpx.get(stack.url("counter", "/")).json()
        arms = {f"flightdeck-{arm}" for arm in ARMS}
        return all(arms <= {name for name, number in kind.items() if number} for kind in counts.values())

    eventually(senders)


def test_the_collector_of_the_stack_accepts_its_configuration(stack: Stack) -> None:
    collector = ["run", "--rm", "--no-deps", "collector"]
    assert stack.compose(*collector, "--version").split()[-1] == environment()["COLLECTOR_IMAGE"].partition(":")[2]
    stack.compose(*collector, "validate", "--config=/etc/otelcol-contrib/config.yaml")  # fails with the reason


def test_the_collector_counts_the_spans_of_every_arm(stack: Stack) -> None:
    calls = 'label_replace(traces_span_metrics_calls_total, "arm", "$1", "service_name", "flightdeck-(.*)")'
    eventually(lambda: ARMS.keys() <= stack.query(f"sum by (arm) ({calls})").keys())
    eventually(lambda: stack.query("sum(otelcol_receiver_accepted_log_records_total) > 0"))


def test_every_query_of_every_board_is_valid_and_reads_what_the_programs_of_the_stack_expose(stack: Stack) -> None:
    now = time()
    with httpx.Client(base_url=stack.url("prometheus"), timeout=60) as client:
        api = PrometheusApi(client, Range(begins=now - 60, ends=now, step_s=15, scrape_s=15))
        read = set[str]()
        for board in (opened(board, api) for board in committed().values()):
            queries = [*(query for _, found in board.panels() for query in found), *board.annotations()]
            for query in queries:
                api.over_time(query.expression)  # fails if Prometheus rejects it
                read |= series_in(query.expression)

    def missing() -> set[str]:
        names = httpx.get(stack.url("prometheus", "/api/v1/label/__name__/values"), timeout=30).json()["data"]
        return {name for name in (read & OF_EXPORTERS).difference(names) if not LATER.fullmatch(name)}

    eventually(lambda: not missing(), seconds=90)


def test_a_trace_above_the_limit_of_one_message_arrives_complete(stack: Stack) -> None:
    """One request becomes several messages to Tempo, which rejects one above 4 MiB with all that is in it."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "large"
    spans = resource.scope_spans.add().spans
    now_ns = time_ns()
    for number in range(1, 20_001):
        span = spans.add(trace_id=now_ns.to_bytes(16), span_id=number.to_bytes(8), name="SELECT")
        span.start_time_unix_nano, span.end_time_unix_nano = now_ns, now_ns + 10**9  # slow, so it is kept
        span.attributes.add(key="db.query.text").value.string_value = "x" * 250
    body = request.SerializeToString()
    assert len(body) > 5_000_000

    headers = {"content-type": "application/x-protobuf"}
    url = stack.url("collector", "/v1/traces")
    eventually(lambda: httpx.post(url, content=body, headers=headers, timeout=30).is_success)

    eventually(lambda: httpx.get(stack.url("counter", "/")).json()["spans"].get("large") == 20_000)


def test_metrics_of_any_sdk_pass_the_collector_over_both_protocols(stack: Stack, tmp_path: Path) -> None:
    exporter = OTLPMetricExporter(endpoint=stack.url("collector", "/v1/metrics"))
    by_http = MeterProvider([PeriodicExportingMetricReader(exporter)], Resource({"service.name": "by-http"}))
    by_http.get_meter("shop").create_counter("orders").add(1)
    assert by_http.force_flush()
    by_http.shutdown()

    reader = InMemoryMetricReader()
    MeterProvider([reader], Resource({"service.name": "by-grpc"})).get_meter("shop").create_counter("orders").add(1)
    collected = reader.get_metrics_data()
    assert collected is not None
    message = encode_metrics(collected).SerializeToString()
    (tmp_path / "message").write_bytes(struct.pack("!BI", 0, len(message)) + message)  # gRPC's frame, uncompressed
    call = stack.url("collector over gRPC", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
    options = ["--silent", "--show-error", "--http2-prior-knowledge", "--dump-header", "-", "--output", "/dev/null"]
    headers = ["--header", "content-type: application/grpc", "--header", "te: trailers"]  # codespell:ignore te
    curl = [installed("curl"), *options, *headers, "--data-binary", f"@{tmp_path / 'message'}", call]
    done = subprocess.run(curl, check=True, text=True, capture_output=True, timeout=60)
    assert "grpc-status: 0" in done.stdout.splitlines()

    def received() -> bool:
        found: dict[str, int] = httpx.get(stack.url("counter", "/metrics")).json()
        return {"by-http orders", "by-grpc orders"} <= found.keys()

    eventually(received)


def test_locust_sends_every_arm_the_same_traffic(stack: Stack) -> None:
    def sent() -> dict[str, int]:
        rows = httpx.get(stack.url("locust", "/stats/requests"), timeout=60).json()["stats"]
        arms = {**dict.fromkeys(ARMS, 0), "edge": 0}
        for row in rows:
            arm = row["name"].partition(" ")[0]
            if arm in arms:
                arms[arm] += row["num_requests"]
        return arms

    eventually(lambda: min(sent().values()) > 10)


def test_an_error_reaches_bugsink_with_its_trace_id(stack: Stack) -> None:
    failed = httpx.post(stack.url("baseline", "/error"), timeout=60)
    assert failed.status_code == 500
    token = stack.compose("exec", "-T", "bugsink", "/with-secrets.sh", "bugsink-manage", "create_auth_token").split()[
        -1
    ]
    api = httpx.Client(base_url=stack.url("bugsink", "/api/canonical/0"), headers={"authorization": f"Bearer {token}"})

    def event() -> Any:
        for issue in api.get("/issues/", params={"project": 1}).json()["results"]:
            for each in api.get("/events/", params={"issue": issue["id"]}).json()["results"]:
                found = api.get(f"/events/{each['id']}/").json()["data"]
                if found["contexts"]["trace"]["trace_id"] == failed.headers["x-trace-id"]:
                    return found
        return None

    with api:
        found = eventually(event)
    assert found["exception"]["values"][-1]["type"] == "IntentionalError"
    assert found["environment"] == "compose"


def test_an_export_is_made_by_the_worker_and_downloaded_through_the_edge(stack: Stack) -> None:
    token = stack.compose("exec", "-T", "optimized", "cat", "/run/flightdeck/write_token").strip()
    wanted = {"format": "csv", "date_from": "2013-07-01", "date_to": "2013-07-02"}
    with httpx.Client(base_url=stack.url("edge"), headers={"authorization": f"Bearer {token}"}, timeout=60) as client:
        accepted = client.post("/exports", json=wanted)
        assert accepted.status_code == 202
        job = eventually(
            lambda: (found := client.get(accepted.headers["location"]).json())["state"] == "done" and found
        )
        rows = client.get(job["links"]["file"]).text.splitlines()
    assert len(rows) == job["rows"] + 1


def test_prometheus_and_the_edge_discover_more_replicas(stack: Stack) -> None:
    scaled = ["up", "--detach", "--no-recreate", "--no-deps", "--wait", "--scale=optimized=2", "optimized"]
    stack.compose(*scaled, timeout_s=300)

    def backends() -> int:
        listed = stack.compose("exec", "-T", "edge", "varnishadm", "-n", EDGE, "backend.list", "-j")
        replicas = [one for name, one in json.loads(listed)[3].items() if ".replica_" in name]
        return sum(one["probe_message"][2] == "healthy" for one in replicas)

    def scraped() -> bool:
        healths = [target["health"] for target in stack.targets() if target["labels"]["job"] == "service"]
        return healths == ["up", "up"]

    eventually(lambda: backends() == 2, seconds=60)
    eventually(scraped, seconds=90)


def test_a_drill_stops_redis_and_its_alert_fires_and_resolves(stack: Stack) -> None:
    """A stopped container leaves DNS; name resolution of the other services must go on working."""
    stack.environment["PROMETHEUS_CONFIG"] = "./prometheus/accelerated"
    stack.compose("up", "--detach", "--no-deps", "--wait", "prometheus", "alertmanager", timeout_s=120)

    done = stack.flightdeck("drill", "run", "redis-stopped", "--compose", "--json", timeout_s=500)

    [outcome] = json.loads(done)
    [alert] = outcome["alerts"]
    assert alert["alert"] == "CacheDown"
    assert 0 < alert["firing_s"] <= alert["delivered_s"]
    assert alert["resolution_delivered_s"] > 0, "since the end of the fault"
    healths = {one["Service"]: one["Health"] for one in stack.containers() if one["Service"] in {*ARMS, "redis"}}
    assert healths == dict.fromkeys(healths, "healthy")


def test_a_stop_under_traffic_loses_no_accepted_request(stack: Stack) -> None:
    """Every request in the access log of the service was completely received by a client."""
    completed: set[str] = set()
    numbers = count()
    stopping = False

    def send_requests() -> None:
        with httpx.Client(base_url=stack.url("pooling"), timeout=60) as client:
            while not stopping:
                number = f"stop-{next(numbers)}"
                try:
                    response = client.get("/flights/1", headers={"x-request-id": number})
                except httpx.TransportError:
                    sleep(0.01)  # not accepted, or lost: the access log shows which
                    continue
                if response.status_code == 200 and len(response.content) == int(response.headers["content-length"]):
                    completed.add(number)

    clients = [Thread(target=send_requests, daemon=True) for _ in range(4)]
    for client in clients:
        client.start()
    eventually(lambda: len(completed) > 20)
    stack.compose("stop", "pooling")
    sleep(0.5)
    stopping = True
    for client in clients:
        client.join(timeout=60)
    [ended] = [one for one in stack.containers() if one["Service"] == "pooling"]
    assert ended["ExitCode"] == 0, "killed after the grace period"
    logged = set(re.findall(r'"request_id":\s*"(stop-\d+)"', stack.compose("logs", "--no-log-prefix", "pooling")))
    assert len(logged) > 20
    assert logged - completed == set()


def test_generators_in_containers_compare_two_services_of_a_network(stack: Stack, tmp_path: Path) -> None:
    """Without the traffic of the stack; the result is not valid if other programs keep this machine busy."""
    stack.compose("stop", "locust")
    requests = tmp_path / "requests.toml"
    requests.write_text('[[requests]]\npath = "/livez"\n', "utf-8")
    result = stack.compare(requests, OPTIONS="--quick --budget-s=1 --rate=20 --json")
    compared = result["techniques"]["comparison"]
    for service in ("off", "on"):
        assert compared[service]["requests"] > 0
        assert compared[service]["unexpected"] == {}


def test_down_leaves_nothing_behind(stack: Stack) -> None:
    assert stack.left_over()
    stack.compose("down", "--volumes", "--timeout=10")
    assert stack.left_over() == []


@pytest.fixture
def overlay(docker_environment: dict[str, str], tmp_path: Path) -> Iterator[Overlay]:
    """A third-party application and the servers that its kit adds; runs after the stack."""
    overlay = Overlay(tmp_path, docker_environment)
    overlay.build_image()
    try:
        overlay.compose("up", "--detach", "ledger", overlay=False)
        eventually(lambda: responds(overlay.url("ledger", "/v2/accounts")), seconds=120)
        overlay.write_kit()
        overlay.compose("up", "--detach", "--wait", *STARTED)
        yield overlay
    finally:
        overlay.compose("down", "--volumes", "--timeout=5", overlay=(tmp_path / "monitoring").exists(), check=False)


def responds(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def test_the_overlay_of_a_kit_monitors_a_third_party_application(overlay: Overlay) -> None:
    def api(path: str, **parameters: str) -> Any:
        return httpx.get(overlay.url("PROMETHEUS_PORT", f"/api/v1/{path}"), params=parameters, timeout=10).json()[
            "data"
        ]

    def has_data(expression: str) -> bool:
        return bool(api("query", query=expression)["result"])

    def unhealthy() -> set[str]:
        rules = [rule for group in api("rules")["groups"] for rule in group["rules"]]
        assert "LedgerServiceDown" in {rule["name"] for rule in rules}
        return {rule["name"] for rule in rules if rule["health"] != "ok"}

    for _ in range(20):
        assert httpx.get(overlay.url("ledger", "/v2/accounts/7"), timeout=30).status_code == 200
    eventually(lambda: has_data('up{job="ledger"} == 1'), seconds=120)
    eventually(
        lambda: has_data('http_requests_total{job="ledger", handler="/v2/accounts/{number}"} >= 20'), seconds=120
    )
    eventually(lambda: not unhealthy(), seconds=180)
    eventually(lambda: api("alertmanagers")["activeAlertmanagers"], seconds=120)
    eventually(lambda: has_data("sum(otelcol_receiver_accepted_spans_total) >= 20"), seconds=120)
    eventually(lambda: httpx.get(overlay.url("counter")).json()["log_records"].get("ledger"), seconds=120)
    eventually(lambda: overlay.problems() == [], seconds=120)
    tests = sorted((overlay.folder / "monitoring" / "prometheus" / "tests").glob("*.yml"))
    assert tests
    writable = overlay.folder / "promtool"
    writable.mkdir()
    writable.chmod(0o777)
    promtool = ["run", "--rm", "--no-deps", f"--volume={writable}:/tmp", "--entrypoint=promtool", "prometheus"]
    overlay.compose(*promtool, "test", "rules", *(f"/etc/prometheus/tests/{path.name}" for path in tests))
