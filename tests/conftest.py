import gc
import os
import signal
from collections.abc import Iterator
from functools import cache

import httpx
import pytest

from observability.logs.logs import restore_logging

gc.disable()  # until everything is imported: nothing of it is garbage

pytest_plugins = [
    "tests.servers.program",
    "tests.servers.embedded",
    "tests.servers.postgres",
    "tests.servers.databases",
    "tests.servers.redis",
    "tests.servers.rabbitmq",
    "tests.servers.varnish",
    "tests.servers.prometheus",
    "tests.servers.alertmanager",
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
    """Run the files with tests of a longer time limit first, so that no worker is left with one at the end."""
    default = float(config.getini("timeout"))
    limits = ((item.path, item.get_closest_marker("timeout")) for item in items)
    longest = {path for path, limit in limits if limit is not None and limit.args[0] > default}
    items.sort(key=lambda item: item.path not in longest)
