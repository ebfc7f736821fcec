"""An arm without the technique, observed under an experiment's traffic until the technique can be predicted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lab.advice.advise import advise, observed_share
from lab.advice.result import Prediction
from lab.advice.slices import FIRST, further_slices
from lab.advice.window import Window
from lab.core.snapshot import Snapshot
from lab.load.generator import LoadCommand
from lab.load.load_model import ClosedLoop, OpenLoop, Phase
from lab.measure.rounds import LoadDriver, Target

WARM_UP_S: Final = 2.0


@dataclass(kw_only=True)
class Baseline:
    arm: Target
    generator: LoadDriver
    mix: str
    seed: int
    clients: int
    """Of the warm-up."""
    rate_per_s: float
    observed_s: float = 0.0
    scrapes: list[tuple[float, Snapshot]] = field(default_factory=list)

    async def predicted(
        self, technique: str, *, slice_s: float, limit_s: float, progress: Callable[[str], None]
    ) -> Prediction:
        """Return the prediction from as many slices as it needs, at least `FIRST`, for no longer than the limit."""
        await self._warm_up()
        more = FIRST
        while True:
            window = await self._observed(more, slice_s)
            advice = advise(window, source="baseline", seed=self.seed)
            prediction = next(one for one in advice.predictions if one.technique == technique)
            if prediction.verdict not in {"too little traffic", "not observed"}:
                return prediction
            share = observed_share(advice, prediction)
            more = further_slices(len(window.matrix), share, slice_s=slice_s, left_s=limit_s - self.observed_s)
            if not more:
                return prediction
            progress(f"{prediction.verdict} after {self.observed_s:.0f} s: observing for {more * slice_s:.0f} s more")

    async def _warm_up(self) -> None:
        await self.generator.drive(self._command(ClosedLoop(clients=self.clients), WARM_UP_S, stream=0))
        self.scrapes.append((0.0, await self.arm.snapshot()))

    async def _observed(self, slices: int, slice_s: float) -> Window:
        """Return the window of all slices so far, after this many more."""
        for _ in range(slices):
            model = OpenLoop(rate_per_s=self.rate_per_s)
            await self.generator.drive(self._command(model, slice_s, stream=len(self.scrapes)))
            self.arm.check()
            self.observed_s += slice_s
            self.scrapes.append((self.observed_s, await self.arm.snapshot()))
        return Window.of(self.scrapes)

    def _command(self, model: ClosedLoop | OpenLoop, seconds: float, *, stream: int) -> LoadCommand:
        return LoadCommand(
            arm=self.arm.name,
            url=self.arm.url,
            model=model,
            phase=Phase(duration_s=seconds),
            stream=stream,
            mix=self.mix,
            seed=self.seed,
            token=self.arm.token,
        )
