"""A real Redis for tests, on a free port of loopback, without persistence."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from redis import Redis
from redis.exceptions import ConnectionError as NotThere

from tests.servers.executable import executable, free_port


@contextmanager
def running_redis(directory: Path) -> Iterator[str]:
    """Yield the URL of a Redis that keeps its files in the directory; skip without the program."""
    program = executable("redis-server", package="redis-server")
    port = free_port()
    command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_it_answers(port: int) -> None:
    deadline = monotonic() + 10
    with Redis(port=port) as client:
        while True:
            try:
                client.ping()
            except NotThere:
                if monotonic() > deadline:
                    raise
                sleep(0.02)
            else:
                return
