import pytest

pytest_plugins = [
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
