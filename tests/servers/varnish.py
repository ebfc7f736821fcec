"""A real Varnish with this repository's configuration, in front of a service on loopback."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.port import free_port
from tests.servers.program import installed

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "varnish"

BACKEND = """
backend service {{
    .host = "127.0.0.1";
    .port = "{port}";
    .probe = service_is_alive;
    .connect_timeout = 1s;
    .first_byte_timeout = 15s;
}}
"""


@contextmanager
def varnish(
    program: str, directory: Path, *, service_url: str = "", backend: str = "", port: int = 0, protocol: str = "HTTP"
) -> Iterator[str]:
    """Yield the URL of an edge in front of the service, or of what `backend` configures, on the port or a free one.

    With the protocol `PROXY` a connection begins with the client's address, as from a load balancer.
    """
    (directory / "backend.vcl").write_text(backend or BACKEND.format(port=service_url.rpartition(":")[2]))
    port = port or free_port()
    parameters = {
        "vcl_path": f"{directory}:{CONFIGURATION}",
        "http_gzip_support": "off",
        "vsl_space": "1M",
        "thread_pool_min": "10",
        "vcc_err_unref": "off" if backend else "on",  # a backend of one's own may have a probe of its own
    }
    command = [program, "-F", "-j", "none", "-n", str(directory / "run"), "-s", "malloc,32m"]
    command += ["-a", f"127.0.0.1:{port},{protocol}", "-f", str(CONFIGURATION / "default.vcl")]
    command += [part for name, value in parameters.items() for part in ("-p", f"{name}={value}")]
    log = (directory / "log").open("w+")
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while not _accepts(port):
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise RuntimeError(f"varnishd did not start:\n{log.read()}")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)
        log.close()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def varnish_program() -> str:
    """Where `varnishd` is; its module for surrogate keys is installed too."""
    installed("libvmod_xkey.so")
    return installed("varnishd")
