"""Every check finds its fault in an application that has it, and nothing in one that is made as it should be."""

import json
import os
import re
import subprocess
import sys
from functools import cache
from itertools import cycle
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from observability.doctor import APPLICATION_CHECKS, SERVICE_CHECKS, run_checks
from tests.servers.asgi import serving

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
NAMES = [*(check.name for check in SERVICE_CHECKS), *(check.name for check in APPLICATION_CHECKS)]

FAULTY = {
    "naive_app": (
        *("public-metrics", "no-openmetrics", "slo-bucket-missing", "no-trace-id", "base-http-middleware"),
        *("asgi-message-spans", "uninstrumented-engine", "duplicate-log-handlers", "sentry-traces"),
        *("synchronous-export", "missing-worker-attribute", "old-attributes", "blocking-call-in-async"),
    ),
    "homemade_app": ("no-exemplars", "unbounded-labels", "old-conventions", "no-process-metrics"),
    "late_app": ("no-metrics", "late-instrumentation", "routes-built-at-first-request"),
}


@cache
def examined(*target: str, http: str = "builtin") -> tuple[int, dict[str, list[str]]]:
    """Return the exit code of `flightdeck doctor` and what it found, by check."""
    command = [sys.executable, "-m", "flightdeck", "doctor", *target, "--json"]
    # Other tests of this process may have chosen the stable conventions.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment["OBSERVABILITY_HTTP"] = http
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    results = json.loads(done.stdout)
    assert [result["check"] for result in results] == NAMES
    for result in results:
        assert bool(result["reason"]) or result["status"] != "could not look"
        assert bool(result["messages"]) == (result["status"] == "failed")
        assert result["fix"]
    unseen = {result["check"]: result["reason"] for result in results if result["status"] == "could not look"}
    found = {result["check"]: result["messages"] for result in results if result["messages"]}
    assert done.returncode == (1 if found else 2 if unseen else 0)
    return done.returncode, found


def module(name: str) -> str:
    return f"tests.observability.doctor.{name}:app"


@pytest.mark.parametrize(("app", "check"), [(app, check) for app, checks in FAULTY.items() for check in checks])
def test_a_check_finds_its_fault(app: str, check: str) -> None:
    exit_code, found = examined(module(app))
    assert exit_code == 1
    assert check in found, f"found only {found}"


@pytest.mark.parametrize("http", ["builtin", "official"])
def test_a_correctly_instrumented_application_has_no_findings(http: str) -> None:
    assert examined(module("good_app"), http=http) == (0, {})


def test_metrics_on_a_port_that_the_application_opened_are_found_and_are_not_public() -> None:
    _, found = examined(module("own_port_app"))
    assert not found.keys() & {"no-metrics", "public-metrics", "no-openmetrics"}


def test_workers_that_share_a_metrics_address_are_found() -> None:
    # Which worker gets a connection is the kernel's choice; here two respond by turns.
    starts = cycle((1700000000.0, 1700000000.5))

    async def metrics(_: Request) -> Response:
        name = "process_start_time_seconds"
        return PlainTextResponse(f"# HELP {name} When it started.\n# TYPE {name} gauge\n{name} {next(starts)}\n")

    with serving(Starlette(routes=[Route("/metrics", metrics)])) as url:
        found = [result.messages for result in run_checks(url) if result.check == "shared-metrics-endpoint"]
    assert found == [[f"{url}/metrics responded from 2 processes by turns: their counters are mixed"]]


def test_every_check_is_proved_to_fire() -> None:
    assert sorted({*(name for names in FAULTY.values() for name in names), "shared-metrics-endpoint"}) == sorted(NAMES)


def test_findings_name_the_cause() -> None:
    _, found = examined(module("naive_app"))
    assert found["base-http-middleware"] == ["add_process_time_header is a BaseHTTPMiddleware"]
    lines = (HERE / "naive_app.py").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "time.sleep(0.01)" in text)
    assert found["blocking-call-in-async"] == [
        f"tests.observability.doctor.naive_app.start calls time.sleep() in line {line}"
    ]
    assert found["slo-bucket-missing"][0].startswith("no latency bucket ends at 0.25 s")
    assert found["uninstrumented-engine"] == ["the pool and the statements of the engine sqlite:// are not observed"]
    assert found["duplicate-log-handlers"] == [
        "records of the logger 'bookshop' reach the console twice, also through 'root'"
    ]


def test_routes_of_nested_routers_are_counted_with_the_time_to_build_them() -> None:
    _, found = examined(module("late_app"))
    assert re.fullmatch(
        r"the first request of each process builds 3 included routes, which took \d+\.\d ms here",
        found["routes-built-at-first-request"][0],
    )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("bookshop", "'bookshop' is neither a URL nor module:application"),
        ("no.such.module:app", "cannot be imported: No module named 'no'"),
        ("observability:nothing", "cannot be imported"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9 is unreachable"),
    ],
)
def test_what_cannot_be_examined_is_said_in_one_line(target: str, message: str) -> None:
    command = [sys.executable, "-m", "flightdeck", "doctor", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_service_that_is_no_python_is_examined_by_its_url() -> None:
    with serving(Starlette()) as url:
        results = run_checks(url, metrics_url=f"{url}/nothing")
    assert {result.check for result in results if result.status == "failed"} == {"no-metrics", "no-trace-id"}
    assert [result.check for result in results if result.status == "passed"] == ["public-metrics"]
