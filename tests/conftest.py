import signal

import pytest

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


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, also where the run itself is a background job of a script.

    Such a job ignores SIGINT, and so would every process that it starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
