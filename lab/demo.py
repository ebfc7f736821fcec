"""The demo: the five long-running arms under the same read-only traffic, each compared with the baseline."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from lab.arms.arms import Arm, ArmSpec, running
from lab.core.servers import EMBEDDED_ONLY
from lab.experiments import TOGETHER, Experiment
from lab.run import Comparison, Job, RunOptions, StartedArms
from lab.traffic.traffic import MIXES, WRITES
from service.techniques import ARMS, arm_name

SHOWN: Final = (
    Experiment(
        name="caching",
        techniques=ARMS["caching"],
        question="How much faster are reports with three levels of cache?",
        mix="reading",
        headline="report.p50_s",
        costs=("memory_bytes",),
    ),
    Experiment(
        name="pooling",
        techniques=ARMS["pooling"],
        question="How many database connects does a connection pool avoid?",
        mix="reading",
        headline="connects_per_request",
    ),
    Experiment(
        name="compression",
        techniques=ARMS["compression"],
        question="How many bytes of a departure board does compression save?",
        mix="reading",
        headline="board.bytes_per_request",
        costs=("cpu_per_request_s",),
    ),
    replace(TOGETHER, mix="reading", headline="p50_s"),
)


def demo_job(options: RunOptions) -> Job:
    return Job(
        label="the five arms",
        status=f"starting {', '.join(ARMS)}",
        plan=options.plan,
        comparisons=[
            Comparison(
                experiment=experiment,
                sides={arm_name(techniques): techniques for techniques in (frozenset[str](), experiment.techniques)},
            )
            for experiment in SHOWN
        ],
        start=partial(_started, options),
        stops_early=False,
    )


@asynccontextmanager
async def _started(options: RunOptions) -> AsyncIterator[StartedArms]:
    token = secrets.token_hex(16)
    arms = [
        Arm(
            # The demo is the same on every machine, whatever servers the environment names.
            ArmSpec(name=name, techniques=techniques, settings=EMBEDDED_ONLY),
            data_dir=options.data_dir,
            token=token,
            writes=not WRITES.isdisjoint(MIXES[options.plan.mix]),
        )
        for name, techniques in ARMS.items()
    ]
    async with running(arms):
        yield StartedArms(arms=arms)
