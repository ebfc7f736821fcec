"""How the upstream answers: its latency, its failures and its silence, changeable while it runs."""

import math
from random import Random
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# The 99th percentile of the standard normal distribution.
Z99: Final = 2.3263478740408408


class Behaviour(BaseModel):
    """A log-normal latency given by its median and 99th percentile, a share of failures, and a hang before answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    median_ms: float = Field(default=25.0, ge=0, le=60_000, description="Half of the answers are quicker.")
    p99_ms: float = Field(default=120.0, ge=0, le=600_000, description="One answer in a hundred is slower.")
    failure_rate: float = Field(default=0.0, ge=0, le=1, description="Share of requests answered 503.")
    hang_s: float = Field(default=0.0, ge=0, le=3600, description="Silence before every answer.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.p99_ms < self.median_ms:
            raise ValueError(f"p99_ms {self.p99_ms:g} is below median_ms {self.median_ms:g}")
        return self

    def latency_s(self, random: Random) -> float:
        """Return the seconds that the next answer takes, the hang included."""
        if self.median_ms == 0:
            return self.hang_s
        sigma = math.log(self.p99_ms / self.median_ms) / Z99
        return self.hang_s + random.lognormvariate(math.log(self.median_ms), sigma) / 1000

    def fails(self, random: Random) -> bool:
        """Return whether the next answer is a failure."""
        return random.random() < self.failure_rate


class FaultController:
    """The behaviour in force; a drill turns it while the upstream runs."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.initial = behaviour
        self.current = behaviour

    def set(self, behaviour: Behaviour) -> Behaviour:
        """Put a behaviour in force and return it."""
        self.current = behaviour
        return behaviour
