"""The behaviour of the upstream: its latency, its failures and hangs, which can change while it runs."""

import math
from random import Random
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# The 99th percentile of the standard normal distribution.
Z99: Final = 2.3263478740408408


class Behaviour(BaseModel):
    """A log-normal latency given by median and 99th percentile, a share of failures, and a hang before responses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    median_ms: float = Field(default=25.0, ge=0, le=60_000, description="Median latency, without the hang.")
    p99_ms: float = Field(
        default=120.0, ge=0, le=600_000, description="99th percentile of the latency, without the hang."
    )
    failure_rate: float = Field(default=0.0, ge=0, le=1, description="Share of requests that get a 503, from 0 to 1.")
    hang_s: float = Field(default=0.0, ge=0, le=3600, description="Seconds of silence before a response that hangs.")
    hang_share: float = Field(default=1.0, ge=0, le=1, description="Share of responses that hang, from 0 to 1.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.p99_ms < self.median_ms:
            raise ValueError(f"p99_ms {self.p99_ms:g} is below median_ms {self.median_ms:g}")
        return self

    def latency_s(self, random: Random) -> float:
        """Return the latency of the next response in seconds, without the hang."""
        if self.median_ms == 0:
            return 0.0
        sigma = math.log(self.p99_ms / self.median_ms) / Z99
        return random.lognormvariate(math.log(self.median_ms), sigma) / 1000

    def fails(self, random: Random) -> bool:
        return random.random() < self.failure_rate


class FaultController:
    """The current behaviour; a drill changes it to inject a fault and to end it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.initial = behaviour
        self.current = behaviour
        self._calls = 0
        """Since the last change."""

    def set(self, behaviour: Behaviour) -> Behaviour:
        self.current = behaviour
        self._calls = 0
        return behaviour

    def next_hang_s(self) -> float:
        """Return for how long the next response hangs: every eighth one with a share of 1/8.

        By chance instead, a few calls would have none or many.
        """
        share = self.current.hang_share
        self._calls += 1
        hangs = math.floor(self._calls * share) > math.floor((self._calls - 1) * share)
        return self.current.hang_s if hangs else 0.0
