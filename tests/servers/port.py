"""Free ports for servers that the tests start."""

import os
from collections.abc import Iterator

import pytest

from lab.arms import ports


def free_port() -> int:
    """Return a TCP port on loopback that was free a moment ago."""
    (port,) = ports.free_ports(1)
    return port


@pytest.fixture(scope="session", autouse=True)
def ports_of_worker() -> Iterator[None]:
    """Give every worker ports of its own: one would otherwise take what another is about to use."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ports, "PORTS", ports.PORTS[worker::workers])
        yield
