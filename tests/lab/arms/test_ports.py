import socket

import pytest

from lab.arms import ports


def test_no_port_is_returned_twice_and_all_are_free() -> None:
    found = [*ports.free_ports(20), *ports.free_ports(20)]

    assert len(set(found)) == 40
    for port in found:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


def test_a_taken_port_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ports.free_ports(2)
    monkeypatch.setattr(ports, "PORTS", (first, second))
    monkeypatch.setattr(ports, "_returned", set())

    with socket.create_server(("127.0.0.1", first)):
        assert ports.free_ports(1) == [second]
        with pytest.raises(OSError, match="no port is free"):
            ports.free_ports(1)
