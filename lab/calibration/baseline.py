"""An arm without the technique, observed under an experiment's traffic until the technique can be predicted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lab.advice.advise import advise, observed_share
from lab.advice.result import Prediction
from lab.advice.window import Window
from lab.calibration.slices import FIRST, further_slices
from lab.core.snapshot import Snapshot
from lab.load.generator import LoadCommand
from lab.load.load_model import OpenLoop, Phase
from lab.measure.rounds import LoadDriver, Target


@dataclass(kw_only=True)
class Baseline:
    arm: Target
    generator: LoadDriver
    warm_up: LoadCommand
    """Its stream is 0; the slices have the same traffic with further streams."""
    rate_per_s: float
    observed_s: float = 0.0
    scrapes: list[tuple[float, Snapshot]] = field(default_factory=list)

    async def predicted(
        self, technique: str, *, slice_s: float, limit_s: float, progress: Callable[[str], None]
    ) -> Prediction:
        """Return the prediction from as many slices as it needs, at least `FIRST`, for no longer than the limit."""
        await self.generator.drive(self.warm_up)
        self.scrapes.append((0.0, await self.arm.snapshot()))
        more = FIRST
        while True:
            window = await self._observed(more, slice_s)
            advice = advise(window, source="baseline", seed=self.warm_up.seed)
            prediction = next(one for one in advice.predictions if one.technique == technique)
            if prediction.verdict not in {"too little traffic", "not observed"}:
                return prediction
            share = observed_share(advice, prediction)
            more = further_slices(len(window.matrix), share, slice_s=slice_s, left_s=limit_s - self.observed_s)
            if not more:
                return prediction
            progress(f"{prediction.verdict} after {self.observed_s:.0f} s: observing for {more * slice_s:.0f} s more")

    async def _observed(self, slices: int, slice_s: float) -> Window:
        """Return the window of all slices so far, after this many more."""
        load = replace(self.warm_up, model=OpenLoop(rate_per_s=self.rate_per_s), phase=Phase(duration_s=slice_s))
        for _ in range(slices):
            await self.generator.drive(replace(load, stream=len(self.scrapes)))
            self.arm.check()
            self.observed_s += slice_s
            self.scrapes.append((self.observed_s, await self.arm.snapshot()))
        return Window.of(self.scrapes)
