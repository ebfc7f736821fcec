"""The profiles of all arms, under requests as in the closed loop of a round."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from lab.core.errors import LabError, NotProfiled
from lab.load.load_model import ClosedLoop, Phase
from lab.measure.plan import Plan
from lab.measure.rounds import CLOSED_STREAMS, LoadDriver, Measurement, Target
from lab.profile.result import ProfileResult
from lab.profile.sampler import CpuTimes, sampled
from lab.profile.stacks import cpu_by_stack

STEP: Final = Phase(duration_s=1.0)
"""Steps of load follow each other until the sampler ends, which may be at once."""


async def add_profiles(
    measurement: Measurement,
    arms: Sequence[Target],
    plan: Plan,
    generator: LoadDriver,
    *,
    pids: Mapping[str, Sequence[int]],
) -> None:
    """Add one profile per arm, or the reason why there is none; an interruption keeps the rounds."""
    first_stream = CLOSED_STREAMS + len(measurement.rounds)
    try:
        profiles = {
            arm.name: await _profile(arm, plan, generator, pids=pids[arm.name], first_stream=first_stream)
            for arm in arms
        }
    except asyncio.CancelledError:
        measurement.is_interrupted = True
    except LabError as error:
        measurement.not_profiled = str(error)
    else:
        measurement.profiles = profiles


async def _profile(
    arm: Target, plan: Plan, generator: LoadDriver, *, pids: Sequence[int], first_stream: int
) -> ProfileResult:
    cpu, requests, stream = CpuTimes(pids), 0, first_stream
    sampling = asyncio.create_task(sampled(pids, seconds=plan.profile_s))
    try:
        while not sampling.done():
            model = ClosedLoop(clients=plan.clients)
            command = plan.command(arm.name, arm.url, model=model, phase=STEP, stream=stream, token=arm.token)
            recording = await generator.drive(command)
            requests, stream = requests + recording.needed, stream + 1
            arm.check()
        samples = await sampling
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
    threads_s, ended_s = cpu.since()
    stacks = cpu_by_stack(samples, threads_s, ended_cpu_s=ended_s)
    if not (stacks and requests):
        raise NotProfiled(f"{arm.name} used no CPU time, or sent no response")
    return ProfileResult.of(stacks, requests=requests, samples=samples.total())
