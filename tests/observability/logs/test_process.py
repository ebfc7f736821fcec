"""What a whole process writes, from `instrument()` to its end, under real servers."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from tests.servers.port import free_port

APP = "tests.observability.logs.noisy:app"
PYTHON = "tests.observability.logs.noisy"
SERVERS = {
    "uvicorn": ["-m", "uvicorn", APP, "--port", "{port}"],
    "uvicorn with colours": ["-m", "uvicorn", APP, "--port", "{port}", "--use-colors"],
    "uvicorn from Python": ["-m", PYTHON],
    "uvicorn with workers": ["-m", "uvicorn", APP, "--port", "{port}", "--workers", "2"],
    "gunicorn": ["-m", "gunicorn", APP, "--bind", "127.0.0.1:{port}", "-k", "uvicorn_worker.UvicornWorker"],
    "gunicorn that preloads": [
        *("-m", "gunicorn", APP, "--preload", "--bind", "127.0.0.1:{port}", "-k", "uvicorn_worker.UvicornWorker"),
    ],
}
EXPECTED = {
    "instrumented",
    "opening",
    "Application startup complete.",
    "request",
    "uncaught exception in thread ",
    "closing",
    "Application shutdown complete.",
}


def output(arguments: list[str], log: Path, **environment: str) -> list[str]:
    """Return the lines that a server with the application writes until it ended."""
    port = free_port()
    command = [sys.executable, *(argument.format(port=port) for argument in arguments)]
    variables = {"OTEL_METRICS_EXPORTER": "none", "PORT": str(port), **environment}
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            command, env=os.environ | variables, stdout=stream, stderr=stream, start_new_session=True
        ) as process,
    ):
        try:
            deadline = monotonic() + 60
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/noise", timeout=60)
                    break
                except httpx.TransportError:
                    assert process.poll() is None, log.read_text()
                    assert monotonic() < deadline
                    sleep(0.1)
            httpx.get(f"http://127.0.0.1:{port}/failing")
            process.send_signal(signal.SIGINT if PYTHON in arguments else signal.SIGTERM)
            process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return log.read_text().splitlines()


def parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


@pytest.mark.parametrize("arguments", SERVERS.values(), ids=SERVERS)
def test_every_line_from_instrument_on_is_json(arguments: list[str], tmp_path: Path) -> None:
    lines = output(arguments, tmp_path / "log", LOG_FORMAT="json")
    first = next(number for number, line in enumerate(lines) if '"instrumented"' in line)
    records: list[dict[str, Any]] = []
    others: list[str] = []
    for line in lines[first:]:
        record = parsed(line)
        if isinstance(record, dict):
            records.append(record)
        else:
            others.append(line)
    # A process that only starts the workers does not import the application.
    from_main = re.compile(
        r"(INFO: +|\[.*\[[A-Z]+\] )(\x1b\[\S+)?"
        r"(Started|Stopping|Waiting for|Uvicorn|Received|Booting|Handling|Shutting|Child|Terminated|Worker)"
    )
    is_main = "workers" in " ".join(arguments) or "gunicorn" in arguments
    assert [line for line in others if not (is_main and from_main.match(line))] == []
    messages = {record["message"] for record in records}
    assert {message for message in EXPECTED if not any(said.startswith(message) for said in messages)} == set()
    assert any("UserWarning: of the warnings module" in message for message in messages)
    exceptions = " ".join(record.get("exception", "") for record in records)
    for where in ("in a thread", "in a task", "in a destructor", "in a request"):
        assert where in exceptions
    if PYTHON in arguments:
        assert "after the server" in exceptions
        assert any(message.startswith("Started server process") for message in messages)
        assert any(message.startswith("Finished server process") for message in messages)


def test_without_a_format_logging_is_as_without_instrumentation(tmp_path: Path) -> None:
    lines = output(SERVERS["uvicorn"], tmp_path / "log", LOG_FORMAT="none")
    assert not [line for line in lines if line.startswith("{") or "trace_id" in line]
    assert "instrumented" in lines  # Python's handler of last resort
    assert sum("GET /noise" in line for line in lines) == 1  # uvicorn's
    assert any(line.startswith("Exception in thread") for line in lines)
