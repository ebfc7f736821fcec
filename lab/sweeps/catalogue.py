"""All sweeps by name, and a run of some of them into one result."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from lab.analysis.result import LabResult
from lab.analysis.sweep_result import SweepResult
from lab.core.errors import ArmFailed, NoDistance, UnknownExperiment
from lab.measure.rounds import Progress
from lab.run import RunOptions, new_result
from lab.sweeps.compression import compression_sweep
from lab.sweeps.data_size import QUESTION as DATA_SIZE_QUESTION
from lab.sweeps.data_size import data_size_sweep
from lab.sweeps.distance import QUESTION as DISTANCE_QUESTION
from lab.sweeps.distance import distance_sweep
from lab.sweeps.load import SWEEPS, sweep_over
from lab.sweeps.ttl import ttl_sweep


class Measure(Protocol):
    async def __call__(self, *, options: RunOptions, seconds: float, progress: Progress) -> SweepResult:
        """Run the sweep with this many seconds per point."""


async def _compression_sweep(*, options: RunOptions, seconds: float, progress: Progress) -> SweepResult:  # noqa: ARG001 it compresses a fixed number of bytes
    return await compression_sweep(data_dir=options.data_dir, progress=progress)


@dataclass(frozen=True, kw_only=True)
class KnownSweep:
    question: str
    measure: Measure
    needs_embedded: bool = False
    """Whether it copies the embedded databases, whatever servers the environment names."""


KNOWN: Final = {
    sweep.name: KnownSweep(question=sweep.question, measure=partial(sweep_over, sweep)) for sweep in SWEEPS
} | {
    "compression": KnownSweep(
        question="Which content coding, at which level, for responses of which size?", measure=_compression_sweep
    ),
    "ttl": KnownSweep(question="How long may a cache keep a response?", measure=ttl_sweep, needs_embedded=True),
    "data-size": KnownSweep(question=DATA_SIZE_QUESTION, measure=data_size_sweep, needs_embedded=True),
    "distance": KnownSweep(question=DISTANCE_QUESTION, measure=distance_sweep),
}


def select_sweeps(names: Sequence[str]) -> list[str]:
    """Return the names of these sweeps, or of `all`; raise `UnknownExperiment` for any other name."""
    unknown = set(names) - set(KNOWN) - {"all"}
    if unknown:
        raise UnknownExperiment(unknown, ["all", *KNOWN], kind="sweep")
    return list(KNOWN) if "all" in names else list(dict.fromkeys(names))


async def run_sweeps(names: Sequence[str], options: RunOptions, progress: Progress, *, seconds: float) -> LabResult:
    """Run the sweeps; an interruption ends the run and keeps what was measured."""
    with new_result(options) as result:
        for name in names:
            try:
                swept = await KNOWN[name].measure(options=options, seconds=seconds, progress=progress)
            except (ArmFailed, NoDistance) as error:
                result.skipped[f"sweep {name}"] = str(error)
                continue
            if any(table.rows for table in swept.tables):
                result.sweeps[name] = swept
            if swept.is_interrupted:
                result.is_interrupted = True
                break
    return result
