"""An arm without a process, whose counters grow with the traffic it gets."""

from collections.abc import Mapping

from lab.core.snapshot import Snapshot
from lab.load.generator import LoadCommand
from lab.load.load_model import OpenLoop
from lab.load.recording import Recording
from tests.lab.advice.counters import of_route, series


class CountingArm:
    """An arm and the generator of its load: each slice adds the same to its counters."""

    name = "baseline"
    url = "http://localhost"
    token = ""

    def __init__(self, per_slice: Mapping[str, float]) -> None:
        self.per_slice = per_slice
        self.commands: list[LoadCommand] = []

    @property
    def slices(self) -> list[LoadCommand]:
        return [command for command in self.commands if isinstance(command.model, OpenLoop)]

    def check(self) -> None:
        """It has no process."""

    async def snapshot(self) -> Snapshot:
        return Snapshot({series(text): value * len(self.slices) for text, value in self.per_slice.items()})

    async def drive(self, command: LoadCommand) -> Recording:
        self.commands.append(command)
        return Recording(duration_s=command.phase.duration_s)


def trials(bodies: float) -> dict[str, float]:
    """Return the counters of a slice with 20 requests, and trials that compress to a tenth."""
    return {
        of_route("whatif_requests_total"): 20.0,
        of_route("http_response_size_bytes_sum"): 20.0 * 10_000,
        of_route("whatif_compressible_bytes_total", "encoding=gzip"): 20.0 * 10_000,
        of_route("whatif_trial_bodies_total"): bodies,
        of_route("whatif_trial_bytes_total"): bodies * 10_000,
        of_route("whatif_trial_compressed_bytes_total", "encoding=gzip"): bodies * 1000,
    }
