"""Checks of the compose file without starting it."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from deploy.up import ADDRESSES, LAST
from lab.arms.delay_proxy import ProxiedServer
from lab.experiments import BY_NAME
from lab.traffic.locust_settings import LocustLoad
from service.techniques import ARMS, parse
from tests.deploy.stack_files import mebibytes

ROOT: Final = Path(__file__).parents[2]

# Their images define an unprivileged user, or start without one.
RUNS_AS_THE_IMAGES_USER: Final = {
    "edge",
    "collector",
    "tempo",
    "loki",
    "prometheus",
    "alertmanager",
    "grafana",
    "bugsink",
    "postgres-exporter",
    "replica-exporter",
    "redis-exporter",
    "node-exporter",
}
# RabbitMQ writes to its configuration directory when it starts.
WRITES_ITS_ROOT: Final = {"rabbitmq"}
ONE_SHOTS: Final = {"secrets", "migrations", "data", "reference", "addresses", "lab"}
# Their images have no shell and no client for a health check.
WITHOUT_A_HEALTH_CHECK: Final = {"collector", "tempo", "loki"}


@cache
def variables() -> Mapping[str, str]:
    lines = (ROOT / ".env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@cache
def services() -> Mapping[str, dict[str, Any]]:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    known = variables()
    document = yaml.safe_load(re.sub(r"\$\{(\w+)\}", lambda found: known[found[1]], text))
    found: dict[str, dict[str, Any]] = document["services"]
    return found


def each(*, without: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    return sorted(services().keys() - without)


def environment(name: str) -> dict[str, str]:
    given = services()[name].get("environment", {})
    return given if isinstance(given, dict) else dict.fromkeys(given, "")


def test_every_version_of_an_image_is_pinned_in_one_place() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    images = re.findall(r"^\s+image: (.+)$", text, flags=re.MULTILINE)
    assert images
    for image in images:
        assert re.fullmatch(r"flightdeck/\w+:\$\{FLIGHTDECK_VERSION\}|\$\{[A-Z_]+_IMAGE\}", image), image


def test_our_images_carry_the_version_of_the_package() -> None:
    assert variables()["FLIGHTDECK_VERSION"] == version("flightdeck-lab")


@pytest.mark.parametrize("name", [name for name in variables() if name.endswith("_IMAGE")])
def test_an_image_has_a_tag_that_says_its_version(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9/_-]+:v?\d+(\.\d+)+[a-z0-9-]*", variables()[name])


def test_the_env_file_defines_exactly_the_variables_that_are_used() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert set(re.findall(r"\$\{(\w+)\}", text)) == variables().keys() - {"COMPOSE_PROFILES"}


@pytest.mark.parametrize("name", each())
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in services()[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


def test_no_port_is_published_twice() -> None:
    ports = [port.split(":")[1] for name in each() for port in services()[name].get("ports", [])]
    assert sorted(ports) == sorted(set(ports))


@pytest.mark.parametrize("name", each())
def test_a_container_has_no_privilege_and_a_read_only_root(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name not in WRITES_ITS_ROOT)
    assert (
        not service.keys() & {"privileged", "cap_add", "pid", "network_mode"} or service.get("network_mode") == "none"
    )


@pytest.mark.parametrize("name", each(without=RUNS_AS_THE_IMAGES_USER))
def test_no_container_runs_as_root(name: str) -> None:
    service = services()[name]
    assert service["image"].startswith("flightdeck/") or service["user"] not in {"root", "0", 0}


def test_our_images_run_as_a_user_of_their_own() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    final_stages = [stage for stage in re.split(r"^FROM ", dockerfile, flags=re.MULTILINE) if " AS base" in stage]
    assert len(final_stages) == 1
    assert re.findall(r"^USER (.+)$", dockerfile, flags=re.MULTILINE) == ["flightdeck"]


def test_the_images_build_has_every_file_that_the_distribution_must_include() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy/Dockerfile").read_text("utf-8"), flags=re.MULTILINE
    )
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert set(included) <= set(" ".join(copied).split())
    assert {f"!{path}" for path in included} <= set(allowed)


def secrets_in(text: str) -> Iterator[str]:
    """Yield likely secrets: the value of such a name, or credentials in a URL."""
    named = r"^\s*\w*(?:password|passwd|secret|token|_key|dsn)\w*[ \t]*[:=][ \t]*([^\s{\[#$].*)$"
    yield from re.findall(named, text, flags=re.MULTILINE | re.IGNORECASE)
    yield from re.findall(r"\w+://[^/\s:@]*:[^/\s@$]+@\S+", text)


@pytest.mark.parametrize("file", ["docker-compose.yml", ".env"])
def test_no_secret_is_in_the_file(file: str) -> None:
    found = [
        value for value in secrets_in((ROOT / file).read_text("utf-8")) if not value.startswith("/run/flightdeck/")
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    ["POSTGRES_PASSWORD: hunter2", "WRITE_TOKEN=abc", "url: amqp://me:mine@rabbitmq", "SENTRY_DSN: http://k@h/1"],
)
def test_a_secret_is_found(line: str) -> None:
    assert list(secrets_in(line))


def test_the_limits_of_memory_fit_into_six_and_a_half_gibibytes() -> None:
    limits = {name: mebibytes(services()[name]["mem_limit"]) for name in each(without=ONE_SHOTS)}
    assert sum(limits.values()) <= 6.5 * 1024


@pytest.mark.parametrize("name", each())
def test_a_container_is_restarted_and_stops_within_ten_seconds(name: str) -> None:
    service = services()[name]
    assert service["stop_grace_period"] == "10s"
    if name not in ONE_SHOTS:
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", each(without=ONE_SHOTS | WITHOUT_A_HEALTH_CHECK))
def test_a_service_has_a_health_check(name: str) -> None:
    assert services()[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_has_the_techniques_of_the_catalogue(arm: str) -> None:
    given = environment(arm)
    assert given["ARM"] == arm
    assert parse(given["TECHNIQUES"]) == ARMS[arm]


def test_traffic_goes_to_every_arm() -> None:
    targets = dict(part.split("=", 1) for part in environment("locust")["FLIGHTDECK_ARMS"].split(","))
    assert targets == {arm: f"http://{arm}:8000" for arm in ARMS} | {"edge": "http://edge:8080"}


def needs(name: str) -> dict[str, str]:
    """Return the services that a service waits for, and until when."""
    return {other: one["condition"] for other, one in services()[name].get("depends_on", {}).items()}


@pytest.mark.parametrize("name", sorted(ONE_SHOTS - {"lab"}))
def test_another_service_waits_for_a_one_shot(name: str) -> None:
    """Otherwise `docker compose up --wait` fails when it exits."""
    waiting = {other for other in each() if needs(other).get(name) == "service_completed_successfully"}
    assert waiting


def test_the_addresses_are_printed_when_the_arms_are_healthy_and_before_the_traffic_starts() -> None:
    assert needs("addresses") == dict.fromkeys((*ARMS.keys() - {"optimized"}, "edge"), "service_healthy")
    assert [name for name in each() if "addresses" in needs(name)] == [LAST] == ["locust"]
    assert services()["addresses"]["attach"] is True
    published = {f"{service.upper()}_PORT": (service, port) for service, port, *_ in ADDRESSES}
    assert {name: str(port) for name, port in environment("addresses").items()} == {
        name: variables()[name] for name in published
    }
    for name, (service, port) in published.items():
        assert f"127.0.0.1:{variables()[name]}:{port}" in services()[service]["ports"]


@pytest.mark.parametrize("arm", [*ARMS, "worker"])
def test_exported_files_are_on_disk_apart_by_database_and_soon_deleted(arm: str) -> None:
    directory = environment(arm)["EXPORT_DIR"]
    assert directory == ("/exports/indexed" if arm in {"optimized", "worker"} else "/exports/unindexed")
    assert "exports:/exports" in services()[arm]["volumes"]
    assert float(environment(arm)["EXPORT_EXPIRY_S"]) <= 600


def test_the_traffic_of_the_first_two_minutes_has_an_export_for_the_task_queue() -> None:
    given = {name: value for name, value in environment("locust").items() if not name.endswith("_FILE")}
    load = LocustLoad.from_environ(given | {"WRITE_TOKEN": "t"})
    kinds = []
    for reader in range(1, load.readers + 1):
        due_s = 0.0
        for gap_s, request in zip(load.gaps_s(reader), load.requests(reader), strict=False):
            due_s += gap_s
            if due_s > 120:
                break
            kinds.append(request.kind)
    assert "export" in kinds


def test_the_lab_publishes_in_the_folder_that_prometheus_reads_and_the_reference_result_is_there_before() -> None:
    path = Path(environment("lab")["LAB_METRICS_FILE"])
    assert f"lab-metrics:{path.parent}" in services()["lab"]["volumes"]
    [script] = services()["reference"]["command"][2:]
    linked, link = script.split()[-2:]
    assert link == str(path)
    exporter = services()["node-exporter"]
    assert "lab-metrics:/metrics/lab:ro" in exporter["volumes"]
    assert f"./deploy/lab/reference.prom:{linked}:ro" in exporter["volumes"]
    assert "--collector.textfile.directory=/metrics/*" in exporter["command"]


def test_the_reference_result_has_its_machine_and_its_date() -> None:
    text = (ROOT / "deploy/lab/reference.prom").read_text("utf-8")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    [machine] = [sample.labels for sample in samples if sample.name == "lab_machine_info"]
    assert all(machine.values())
    finished = {
        sample.labels["experiment"]: sample.value
        for sample in samples
        if sample.name == "lab_experiment_finished_timestamp_seconds"
    }
    assert {"caching", "pooling", "compression"} <= finished.keys() <= BY_NAME.keys()
    assert min(finished.values()) > 1_700_000_000


def through_distance(given: dict[str, str]) -> dict[str, str]:
    """Return the variables that a command of an arm sees."""
    command = ["/bin/sh", str(ROOT / "deploy/with-secrets.sh"), "env"]
    done = subprocess.run(command, env=given | {"PATH": os.environ["PATH"]}, text=True, capture_output=True, check=True)
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
    return {name: seen[name] for name in given}


def test_a_distance_is_between_an_arm_and_its_servers_and_none_leaves_them_alone() -> None:
    secrets = (ROOT / "deploy/secrets.sh").read_text("utf-8")
    databases = re.findall(r"^secret (database\w*_url) \"postgresql://.+?@(\S+)\"", secrets, re.MULTILINE)
    given = {name.upper(): f"postgresql://flightdeck:0123abc@{rest}" for name, rest in databases}
    given |= {name: environment("optimized")[name] for name in ("REDIS_URL", "WEATHER_URL")}
    assert len(given) == 4
    assert variables()["DISTANCE_MS"] == environment("optimized")["DISTANCE_MS"] == "0"
    assert through_distance(given | {"DISTANCE_MS": "0"}) == given | {"DISTANCE_MS": "0"}
    words = services()["distance"]["command"][-1].split()
    proxied = {server.at: server for server in map(ProxiedServer.of, words[words.index("5432=postgres:5432") :])}
    led = through_distance(given | {"DISTANCE_MS": "1.5"})
    for name, url in given.items():
        before, after = urlsplit(url), urlsplit(led[name])
        assert after.hostname == "distance"
        server = proxied.pop(after.port or 0)
        assert (server.host, server.port) == (before.hostname, before.port)
        assert after._replace(netloc="") == before._replace(netloc="")
        assert after.username == before.username
        assert after.password == before.password
    assert proxied == {}
    assert all(needs(name)["distance"] == "service_healthy" for name in (*ARMS, "worker"))


def test_the_profile_core_depends_on_no_service_outside_it() -> None:
    core = {name for name in each() if "core" in services()[name]["profiles"]}
    for name in core:
        assert set(services()[name].get("depends_on", {})) <= core
    assert {"grafana", "prometheus", "locust", *ARMS} <= core


def test_make_down_removes_every_profile_with_its_volumes() -> None:
    [down] = re.findall(r"^\tdocker compose (.*) down --volumes$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    profiles = set(re.findall(r"--profile (\w+)", down))
    assert all(profiles & set(services()[name]["profiles"]) for name in each())


def test_mounted_files_exist() -> None:
    for name in each():
        for volume in services()[name].get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name} mounts {source}"


def linted(file: Path) -> subprocess.CompletedProcess[str]:
    linter = [sys.executable, "-m", "compose_lint", "check", "--fail-on", "low", "--config", ".compose-lint.yml"]
    return subprocess.run([*linter, str(file)], cwd=ROOT, text=True, capture_output=True, check=False)


def test_the_compose_linter_finds_nothing_beside_the_documented_exceptions() -> None:
    done = linted(ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("${REDIS_IMAGE}", "redis:latest"),
        ('"127.0.0.1:${BASELINE_PORT}:8000"', '"${BASELINE_PORT}:8000"'),
        ("  cap_drop: [ALL]\n", "  privileged: true\n"),
        ("  read_only: true\n", ""),
    ],
    ids=["latest", "a port on every interface", "privileged", "a writable root"],
)
def test_the_compose_linter_finds_mistakes(good: str, bad: str, tmp_path: Path) -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert good in text
    file = tmp_path / "docker-compose.yml"
    file.write_text(text.replace(good, bad), "utf-8")
    assert linted(file).returncode == 1
