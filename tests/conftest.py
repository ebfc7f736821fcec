import gc
import os
import signal
from collections.abc import Callable, Iterator
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Final

import httpx
import pytest
from hypothesis import HealthCheck, settings
from typer.main import get_command

from observability import TelemetrySettings
from observability.core.limits import Deadline
from observability.logs.logs import restore_logging
from observability.saturation.blocking import BlockDetector

gc.disable()  # until everything is imported: nothing of it is garbage

# Hypothesis fails a case that takes 200 ms, and input that takes long to draw, as on a busy machine.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

TESTS: Final = Path(__file__).parent
LONG: Final = (
    "service/dataset/test_server.py",
    "service/test_contract.py",
    "service/exports/test_queue.py",
    "observability/doctor/test_doctor.py",
    "lab/drills/environments/test_compose.py",
    "service/test_databases_agree.py",
    "lab/kit/test_third_party.py",
    "observability/celery/test_worker.py",
    "service/test_overload.py",
    "service/cache/test_through_the_service.py",
    "service/dataset/test_embedded.py",
)
"""The files that take longest, of those whose tests keep to the time limit."""

pytest_plugins = [
    "tests.servers.port",
    "tests.servers.program",
    "tests.servers.forked",
    "tests.servers.embedded",
    "tests.servers.postgres",
    "tests.servers.databases",
    "tests.servers.redis",
    "tests.servers.rabbitmq",
    "tests.servers.varnish",
    "tests.servers.prometheus",
    "tests.servers.alertmanager",
    "tests.servers.docker",
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run `async def` tests on asyncio: the service, its database drivers and uvicorn do too."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def one_tls_context() -> Iterator[None]:
    """Load the certificate authorities once: every client, and every `httpx.get()`, would take 25 ms for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def a_minute_for_responses() -> Iterator[None]:
    """Let clients wait a minute for a server on a busy machine; by default a test with `httpx.get()` waits 5 s."""
    default: httpx.Timeout = signature(httpx.get).parameters["timeout"].default
    with pytest.MonkeyPatch.context() as patch:
        for part in ("connect", "read", "write", "pool"):
            patch.setattr(default, part, 60.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def a_minute_for_exports() -> Iterator[None]:
    """Let an application that stops export what is queued on a busy machine too, unless its settings give a time."""
    default = TelemetrySettings.model_fields["shutdown_timeout_s"].default
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("observability.telemetry.Deadline", lambda s: Deadline(60.0 if s == default else s))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_command_line() -> Iterator[None]:
    """Build the commands of a Typer application once: every `CliRunner.invoke()` would take 50 ms for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_detection_of_blocks() -> Iterator[Callable[..., None]]:
    """Record nothing when a busy machine stops an event loop: what a test compares would have an event more.

    Tests of the detection use `detection_of_blocks`.
    """
    detecting = BlockDetector.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlockDetector, "start", _not_started)
        yield detecting


@pytest.fixture(scope="module")
def detection_of_blocks(no_detection_of_blocks: Callable[..., None]) -> Iterator[None]:
    """Detect what blocks an event loop, as in production."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlockDetector, "start", no_detection_of_blocks)
        yield


def _not_started(_: BlockDetector, *, blocked_after_s: float) -> None:
    assert blocked_after_s > 0


@pytest.fixture(autouse=True)
def logging_of_a_test() -> Iterator[None]:
    """Restore the logging that the test's applications configured: it outlives them, as in a server."""
    yield
    restore_logging()


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, also where the run itself is a background job of a script.

    Such a job ignores SIGINT, and so would every process that it starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Prometheus and promtool spend a quarter of their time on collections of a small heap.
    os.environ.setdefault("GOGC", "1000")


def pytest_collection_finish() -> None:
    """Leave the imported modules and the collected tests out of garbage collections, which take 80 ms with them."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the longest files first, so that no worker is left with one at the end.

    They are those with tests of a longer time limit, then those of `LONG`.
    """
    default = float(config.getini("timeout"))
    limits = ((item.path, item.get_closest_marker("timeout")) for item in items)
    longest = {path for path, limit in limits if limit is not None and limit.args[0] > default}
    long = {TESTS / path for path in LONG}
    items.sort(key=lambda item: 0 if item.path in longest else 1 if item.path in long else 2)
