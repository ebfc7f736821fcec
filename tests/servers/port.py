"""Free ports for servers that the tests start."""

import os
import socket
from collections.abc import Iterator

import pytest

from lab.arms import ports


def free_port() -> int:
    """Return a TCP port on loopback that was free a moment ago."""
    (port,) = ports.free_ports(1)
    return port


def free_range(count: int) -> int:
    """Return the first of so many consecutive free ports; choose it after every other port of the test."""
    while True:
        first = free_port()
        if all(_is_free(port) for port in range(first + 1, first + count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session", autouse=True)
def ports_of_worker() -> Iterator[None]:
    """Give every worker a range of its own: one would otherwise take what another is about to use."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    size = len(ports.PORTS) // workers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ports, "PORTS", ports.PORTS[worker * size : (worker + 1) * size])
        yield
