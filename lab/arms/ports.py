"""Ports for servers on loopback."""

import secrets
import socket
from contextlib import suppress
from typing import Final

PORTS: Final = range(10_240, 32_768)
"""Below the ports of outgoing connections: from 32768 up on Linux, from 49152 up elsewhere."""
_returned: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Return loopback ports that are free now; none of them twice, because a server may not have taken it yet.

    Raises:
        OSError: too few ports are free.
    """
    ports: list[int] = []
    while len(ports) < count:
        untried = [port for port in PORTS if port not in _returned]
        if not untried:
            raise OSError("no port is free on loopback")
        port = secrets.choice(untried)
        _returned.add(port)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports
