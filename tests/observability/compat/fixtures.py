"""The fixtures of `tests/conftest.py` that the package's tests need without the service."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
