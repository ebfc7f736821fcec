"""The demonstration: the five long-running arms under the same reading traffic, each against the first."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Final

from lab.analysis.outcome import compared
from lab.analysis.result import LabResult
from lab.arms.arms import Arm, ArmSpec, running
from lab.core.errors import ArmFailed
from lab.experiments import TOGETHER, Experiment
from lab.load.generator import Generator
from lab.measure.rounds import Measurement, Plan, Progress, Round, measure
from lab.run import RunOptions, empty_result
from lab.traffic.traffic import MIXES, WRITES
from service.techniques import ARMS, arm_name

QUICK: Final = Plan(
    mix="reading", open_loop_s=1.5, closed_loop_s=0.0, warm_up_s=5.0, min_rounds=4, max_rounds=5, budget_s=40.0
)
THOROUGH: Final = Plan(
    mix="reading", open_loop_s=2.5, closed_loop_s=0.8, warm_up_s=12.0, min_rounds=5, max_rounds=8, budget_s=120.0
)

SHOWN: Final = (
    Experiment(
        name="caching",
        techniques=ARMS["caching"],
        question="Do three levels of cache spare the reports their computation?",
        mix="reading",
        headline="report.p50_s",
        costs=("memory_bytes",),
    ),
    Experiment(
        name="pooling",
        techniques=ARMS["pooling"],
        question="Does keeping connections spare every request its connect?",
        mix="reading",
        headline="connects_per_request",
    ),
    Experiment(
        name="compression",
        techniques=ARMS["compression"],
        question="How many bytes of a departure board does compression spare?",
        mix="reading",
        headline="board.bytes_per_response",
        costs=("cpu_per_request_s",),
    ),
    replace(TOGETHER, headline="p50_s"),
)
EMBEDDED: Final = dict.fromkeys(
    ("DATABASE_URL", "DATABASE_UNINDEXED_URL", "DATABASE_REPLICA_URL", "REDIS_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"), ""
)
"""The demonstration is the same on every machine, whatever its environment points at."""


async def demonstrate(options: RunOptions, progress: Progress) -> LabResult:
    """Return the effects of the long-running arms; an interruption keeps what was measured."""
    begun = monotonic()
    result = empty_result(options)
    measured = await _measured(options, progress)
    result.is_interrupted = measured.is_interrupted
    if measured.rounds:
        for experiment in SHOWN:
            shown = replace(experiment, mix=options.plan.mix)
            sides = {arm_name(techniques): techniques for techniques in (frozenset[str](), experiment.techniques)}
            result.techniques[experiment.name] = compared(shown, measured, sides=sides)
    elif not measured.is_interrupted:
        result.skipped["the five arms"] = measured.failure
    result.duration_s = monotonic() - begun
    return result


async def _measured(options: RunOptions, progress: Progress) -> Measurement:
    token = secrets.token_hex(16)
    arms = [
        Arm(
            ArmSpec(name=name, techniques=techniques, settings=EMBEDDED),
            data_dir=options.data_dir,
            token=token,
            writes=not WRITES.isdisjoint(MIXES[options.plan.mix]),
        )
        for name, techniques in ARMS.items()
    ]
    progress.status(f"starting {', '.join(ARMS)}")
    try:
        async with Generator() as generator, running(arms):
            return await measure(arms, options.plan, generator, progress=progress, tight_enough=_never)
    except ArmFailed as error:
        return Measurement(failure=str(error))
    except asyncio.CancelledError:
        return Measurement(is_interrupted=True)


def _never(_: Sequence[Round]) -> bool:
    return False
