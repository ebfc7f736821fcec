"""The load generator on several machines, over the messages of Locust's distributed mode.

    python -m lab.load.workers master HOST PORT WORKERS [SECONDS]
    python -m lab.load.workers worker HOST PORT

The master takes the commands of `lab.load.generator` on standard input, gives every worker its share, and writes the
merged recording. A worker runs `lab.load.generator`, whose schedule and histograms Locust's own users do not have.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

import gevent  # type: ignore[import-untyped]  # ships no types
from gevent.queue import Queue  # type: ignore[import-untyped]  # ships no types
from locust import User
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner

from lab.core.command import MODULE
from lab.load.generator import LoadCommand
from lab.load.recording import Recording
from lab.load.sharing import merged, shares

COMMAND: Final = "flightdeck command"
READY: Final = "flightdeck ready"
"""Sent by a worker that takes commands; Locust counts it as soon as it is connected."""
RECORDING: Final = "flightdeck recording"
WAIT_S: Final = 120.0
"""How long the master waits for its workers."""
LOST_S: Final = 5.0
"""How long a worker may be missing, after the three heartbeats of a second each that Locust waits for."""
POLL_S: Final = 0.1


class NoUser(User):
    """Locust wants a class of users, of which none is started."""

    abstract = False


def master(host: str, port: int, workers: int, wait_s: float = WAIT_S) -> int:
    """Execute the commands on standard input; end with it, or when a worker is lost."""
    runner = Environment(user_classes=[NoUser]).create_master_runner(host, port)
    ready: set[str] = set()
    recordings: Queue = Queue()
    runner.register_message(READY, lambda msg, **_: ready.add(msg.node_id))
    runner.register_message(RECORDING, lambda msg, **_: recordings.put(msg))
    try:
        deadline = monotonic() + wait_s
        while len(ready) < workers and monotonic() < deadline:
            gevent.sleep(POLL_S)
        if len(ready) < workers:
            _write({"error": f"{len(ready)} of {workers} generators joined within {wait_s:.0f} s"})
            return 1
        ids = sorted(ready)[:workers]
        read_line = gevent.get_hub().threadpool.apply
        while line := read_line(sys.stdin.buffer.readline):
            for worker_id, share in zip(ids, shares(LoadCommand.decode(line), workers), strict=True):
                runner.send_message(COMMAND, {"line": share.encode().decode()}, worker_id)
            parts: dict[str, dict[str, Any]] = {}
            complete = monotonic()
            while len(parts) < workers and monotonic() < complete + LOST_S:
                if not (lost := _missing(runner, ids)):
                    complete = monotonic()
                with gevent.Timeout(POLL_S, False):
                    message = recordings.get()
                    parts[message.node_id] = message.data
            if len(parts) < workers:
                _write({"error": f"lost the generator {lost}"})
                return 1
            _write(_merged(list(parts.values())))
    finally:
        runner.quit()
    return 0


def worker(host: str, port: int) -> int:
    """Execute commands from the master until it ends."""
    environment = Environment(user_classes=[NoUser])
    runner = environment.create_worker_runner(host, port)
    generator = subprocess.Popen(  # noqa: S603 our own module
        [*MODULE, "lab.load.generator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    stdin, stdout = generator.stdin, generator.stdout
    if stdin is None or stdout is None:
        raise RuntimeError("a generator without pipes")

    def execute(msg: Any, **_: object) -> None:
        stdin.write(msg.data["line"].encode())
        stdin.flush()
        line = stdout.readline()
        runner.send_message(RECORDING, json.loads(line) if line else {"error": "the load generator ended"})

    runner.register_message(COMMAND, execute, concurrent=True)
    runner.send_message(READY)
    try:
        runner.greenlet.join()
    finally:
        stdin.close()
        generator.wait()
    return 0


def _missing(runner: MasterRunner, ids: Sequence[str]) -> str:
    """Return the id of a worker without heartbeats; empty if all have them."""
    present = {node.id for node in runner.clients.all if node.state != STATE_MISSING}
    return next((each for each in ids if each not in present), "")


def _merged(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    failed = next((part for part in parts if "error" in part), None)
    return failed or merged([Recording.from_json(part) for part in parts]).to_json()


def _write(response: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(response) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    role, address, service, *options = sys.argv[1:]
    if role == "master":
        sys.exit(master(address, int(service), int(options[0]), *map(float, options[1:])))
    sys.exit(worker(address, int(service)))
