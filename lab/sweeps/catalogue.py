"""All sweeps by name, and a run of some of them into one result."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

from lab.analysis.result import LabResult
from lab.analysis.sweep_result import SweepResult
from lab.core.errors import ArmFailed, UnknownExperiment
from lab.measure.rounds import Progress
from lab.run import RunOptions, empty_result
from lab.sweeps.compression import compression_sweep
from lab.sweeps.data_size import QUESTION, data_size_sweep
from lab.sweeps.load import SWEEPS, Sweep, sweep_over
from lab.sweeps.ttl import ttl_sweep

Measure = Callable[[Path, float, Progress], Awaitable[SweepResult]]
"""Takes the data directory, the seconds of a point, and who follows it."""


async def _under_load(sweep: Sweep, data_dir: Path, seconds: float, progress: Progress) -> SweepResult:
    return await sweep_over(sweep, data_dir=data_dir, seconds=seconds, progress=progress)


async def _of_compression(data_dir: Path, _: float, progress: Progress) -> SweepResult:
    return await compression_sweep(data_dir=data_dir, progress=progress)


async def _of_data_size(data_dir: Path, seconds: float, progress: Progress) -> SweepResult:
    return await data_size_sweep(data_dir=data_dir, seconds=seconds, progress=progress)


async def _of_ttl(data_dir: Path, seconds: float, progress: Progress) -> SweepResult:
    return await ttl_sweep(data_dir=data_dir, seconds=seconds, progress=progress)


@dataclass(frozen=True, kw_only=True)
class Known:
    """A sweep that can be asked for."""

    question: str
    measure: Measure
    needs_embedded: bool = False
    """Whether it copies the embedded databases, whatever servers the environment names."""


KNOWN: Final = {sweep.name: Known(question=sweep.question, measure=partial(_under_load, sweep)) for sweep in SWEEPS} | {
    "compression": Known(question="Which coding, at which level, for answers of which size?", measure=_of_compression),
    "ttl": Known(question="How long may a cache keep an answer?", measure=_of_ttl, needs_embedded=True),
    "data-size": Known(question=QUESTION, measure=_of_data_size, needs_embedded=True),
}


def select_sweeps(names: Sequence[str]) -> list[str]:
    """Return the names of these sweeps, or of `all`; raise `UnknownExperiment` for any other name."""
    unknown = set(names) - set(KNOWN) - {"all"}
    if unknown:
        raise UnknownExperiment(unknown, ["all", *KNOWN], kind="sweep")
    return list(KNOWN) if "all" in names else list(dict.fromkeys(names))


async def run_sweeps(names: Sequence[str], options: RunOptions, progress: Progress, *, seconds: float) -> LabResult:
    """Return the result of the sweeps; an interruption ends the run and keeps what was measured."""
    begun = monotonic()
    result = empty_result(options)
    for name in names:
        try:
            swept = await KNOWN[name].measure(options.data_dir, seconds, progress)
        except ArmFailed as error:
            result.skipped[f"sweep {name}"] = str(error)
            continue
        except asyncio.CancelledError:
            result.is_interrupted = True
            break
        if swept.tables and any(table.rows for table in swept.tables):
            result.sweeps[name] = swept
        if swept.is_interrupted:
            result.is_interrupted = True
            break
    result.duration_s = monotonic() - begun
    return result
