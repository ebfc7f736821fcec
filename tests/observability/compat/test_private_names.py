"""Without any private name of another library, importing, starting, requests and tasks still work."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)  # the first test of a library probes all its names
COMPAT = Path(__file__).parents[3] / "observability" / "compat"

INTACT = {
    "status": 204,
    "failed": 500,
    "spans": ["GET", "GET /broken", "GET /items", "SELECT", "apply_async/probe.nothing"],
    "reports": 1,
    "reports_exported": 1,
    "requests": 1,
    "waits": 1,
    "connects": 1,
    "calls": 1,
    "tasks": 1,
    "unbuilt_routes": 1,
    "internal_errors": [],
}
NO_CLIENT = {"calls": None, "spans": [span for span in INTACT["spans"] if span != "GET"]}  # type: ignore[attr-defined]

LOST: dict[tuple[str, str], dict[str, Any]] = {
    ("fastapi", "_telemetry"): {},
    ("fastapi", "_effective_candidates_version"): {"unbuilt_routes": None},
    ("fastapi", "_REQUEST_TELEMETRY_KEY"): {},
    ("fastapi", "_RequestTelemetry"): {},
    ("fastapi", "fastapi.telemetry._api"): {},
    ("httpx", "_transport"): NO_CLIENT,
    ("httpx", "_mounts"): NO_CLIENT,
    ("prometheus_client", "_collector_to_names"): {},
    ("prometheus_client", "_labelnames"): {},
    ("prometheus_client", "_names_to_collectors"): {},
    ("sentry_sdk", "_send_envelope"): {},
    ("sqlalchemy", "_max_overflow"): {},
    ("sqlalchemy", "_proxied"): {},
    ("sqlalchemy", "_do_get"): {"waits": 0},
    ("sqlalchemy", "_invoke_creator"): {"connects": 0},
    ("opentelemetry", "_agnosticcontextmanager"): {},
    ("opentelemetry", "_batch_processor"): {},
    ("opentelemetry", "_client"): {},
    ("opentelemetry", "_instrumentation_scope"): {},
    ("opentelemetry", "_active_span_processor"): {},
    ("opentelemetry", "_span_processors"): {},
    ("opentelemetry", "_is_instrumented_by_opentelemetry"): {},
    ("opentelemetry", "_instance"): {},
    ("opentelemetry", "_tracer"): {},
    ("opentelemetry", "_trace_before_publish"): {},
    ("opentelemetry", "_trace_after_publish"): {},
    ("opentelemetry", "opentelemetry.util._decorator"): {},
    ("opentelemetry", "opentelemetry._logs"): {},
    ("opentelemetry", "opentelemetry.sdk._logs"): {},
    ("opentelemetry", "opentelemetry.exporter.otlp.proto.http._log_exporter"): {},
}
"""What is lost without each name; everything else stays."""


@cache
def probed(library: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the outcome without each name of the library, and what failed."""
    names = [name for of, name in LOST if of == library]
    command = [sys.executable, "-m", "tests.observability.compat.probe", library, *names]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=COMPAT.parents[1])
    return dict(json.loads(line) for line in run.stdout.splitlines() if line.startswith("[")), run.stderr


@pytest.mark.parametrize(("library", "name"), LOST, ids=[f"{library} {name}" for library, name in LOST])
def test_a_missing_private_name_costs_at_most_a_feature(library: str, name: str) -> None:
    outcomes, errors = probed(library)
    assert name in outcomes, errors[-3000:]
    assert outcomes[name].pop("metrics")
    assert outcomes[name] == INTACT | LOST[library, name]


def test_every_private_name_in_the_package_is_tested() -> None:
    text = "\n".join(path.read_text() for path in COMPAT.glob("*.py"))
    ours = {"_publishing", "_UNWRAPPED", "_before_publish", "_after_publish"}
    used = set(re.findall(r"""(?:(?<!self)\.|"|def )(_[a-z]\w*)""", text)) | set(re.findall(r"import (_\w+)", text))
    assert used - ours <= {name.rpartition(".")[2] for _, name in LOST}


def test_private_names_of_other_libraries_are_used_in_compat_only() -> None:
    private = re.compile(
        r"""(?<![\w.])(?!self\.|cls\.|super\(\)\.|sys\.)[a-z]\w*\._[a-z]\w*|import _[a-z]|(?:attr\([^)]*")_(?!_|obs)"""
    )
    found = [
        f"{path.name}: {line.strip()}"
        for path in COMPAT.parent.rglob("*.py")
        if path.parent != COMPAT
        for line in path.read_text().splitlines()
        if private.search(line)
    ]
    assert found == []
