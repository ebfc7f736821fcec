"""A real worker of exports: the command that people run, as processes that a test may kill."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Worker:
    """A running worker: its main process, and the children that make the exports."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def children(self) -> list[psutil.Process]:
        """The processes that make exports."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        """Kill every process at once, as a machine that loses its power does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)


@contextmanager
def running_worker(data_dir: Path, *, log: Path, **environment: str) -> Iterator[Worker]:
    """Yield a worker on a data directory; settings are environment variables."""
    command = [sys.executable, "-m", "flightdeck", "worker", "--data-dir", str(data_dir)]
    variables = {"OTEL_METRICS_EXPORTER": "none", "PYTHONWARNINGS": "ignore", **environment}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=os.environ | variables, stdout=output, stderr=output, start_new_session=True
        )
    worker = Worker(process, log)
    try:
        yield worker
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            worker.kill()
