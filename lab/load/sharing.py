"""One command for several workers, and their recordings as one."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Final, Literal

from lab.core.address import host_and_port
from lab.core.errors import LabError
from lab.load.generator import LoadCommand
from lab.load.load_model import ClosedLoop, OpenLoop
from lab.load.recording import Recording

WORKER_STREAMS: Final = 1_000_000
"""Offset of a worker's streams: a worker sends both arms the same requests, and no other worker sends them."""


def on_workers(role: Literal["master", "worker"], address: str, *arguments: str) -> list[str]:
    """Return the module that takes this role, with its arguments; raise `LabError` without Locust or an address."""
    if find_spec("locust") is None:
        raise LabError("several generators need Locust, which is not installed: pip install locust")
    host, port = host_and_port(address)
    return ["lab.load.workers", role, host, str(port), *arguments]


def shares(command: LoadCommand, workers: int) -> list[LoadCommand]:
    """Divide the rate, or the clients and their requests, among the workers; a closed loop has a client in each."""
    return [
        replace(command, model=_share(command.model, number, workers), stream=command.stream + number * WORKER_STREAMS)
        for number in range(workers)
    ]


def merged(recordings: Sequence[Recording]) -> Recording:
    """Return what the workers recorded at the same time.

    The lateness is that of the latest worker: the others must not hide it.
    """
    whole = Recording(duration_s=0.0)
    for recording in recordings:
        whole.add(recording)
    whole.duration_s = max(recording.duration_s for recording in recordings)
    whole.busy_s = max(recording.busy_s for recording in recordings)
    whole.backlog = sum(recording.backlog for recording in recordings)
    whole.lateness = max((each.lateness for each in recordings), key=lambda lateness: lateness.quantile(0.95) or 0.0)
    return whole


def _share(model: OpenLoop | ClosedLoop, number: int, workers: int) -> OpenLoop | ClosedLoop:
    if isinstance(model, OpenLoop):
        return replace(model, rate_per_s=model.rate_per_s / workers)
    requests = None if model.requests is None else _part(model.requests, number, workers)
    return replace(model, clients=max(1, _part(model.clients, number, workers)), requests=requests)


def _part(whole: int, number: int, workers: int) -> int:
    return whole // workers + (number < whole % workers)
