"""How much to measure: the traffic, the length of the phases, the number of rounds."""

from dataclasses import dataclass, replace
from typing import Final

from lab.load.generator import LoadCommand
from lab.load.load_model import LoadModel, Phase
from lab.load.recording import LATE_S


@dataclass(frozen=True, kw_only=True)
class Plan:
    mix: str = ""
    workload: str = ""
    """As JSON, instead of a mix."""
    ca: str = ""
    """File with the certificate authorities of the services."""
    seed: int = 1
    open_loop_s: float = 5.0
    closed_loop_s: float = 2.0
    """How long the slowest arm needs for the list of the closed loop; 0: no closed loop."""
    min_requests: int = 6
    """The open loop of a slow arm runs longer, until this many requests were due; the list has at least as many."""
    clients: int = 4
    """Of the closed loop."""
    warm_up_s: float = 15.0
    """Upper limit per arm, once, before the first round."""
    min_rounds: int = 6
    max_rounds: int = 40
    budget_s: float = 90.0
    profile_s: float = 0.0
    """Of each arm, once after the last round; 0: no profile."""
    rate_per_s: float = 0.0
    """0: derived from the capacity of the slowest arm."""
    tolerated_lateness_s: float = LATE_S
    """A round is repeated if the load generator was later than this and its latencies are affected."""

    def command(self, arm: str, url: str, *, model: LoadModel, phase: Phase, stream: int, token: str) -> LoadCommand:
        """Return the command for one phase of this traffic on one arm."""
        return LoadCommand(
            arm=arm,
            url=url,
            model=model,
            phase=phase,
            stream=stream,
            mix=self.mix,
            workload=self.workload,
            ca=self.ca,
            seed=self.seed,
            token=token,
        )


PROFILE_S: Final = 5.0
"""About a thousand samples of a busy thread: a function with 1 % of the time has ten."""
QUICK: Final = Plan(
    open_loop_s=1.2, min_requests=12, closed_loop_s=0.8, warm_up_s=10.0, min_rounds=5, max_rounds=12, budget_s=42.0
)
THOROUGH: Final = Plan(
    open_loop_s=4.0, min_requests=40, closed_loop_s=2.0, warm_up_s=40.0, min_rounds=8, max_rounds=40, budget_s=90.0
)
DEMO_QUICK: Final = Plan(
    mix="reading", open_loop_s=1.2, closed_loop_s=0.6, warm_up_s=5.0, min_rounds=4, max_rounds=5, budget_s=40.0
)
DEMO_THOROUGH: Final = Plan(
    mix="reading", open_loop_s=2.0, closed_loop_s=1.5, warm_up_s=12.0, min_rounds=6, max_rounds=12, budget_s=150.0
)


def experiment_plan(
    *, quick: bool, seed: int, budget_s: float | None = None, rate_per_s: float = 0.0, profiles: bool = False
) -> Plan:
    plan = replace(
        QUICK if quick else THOROUGH, seed=seed, rate_per_s=rate_per_s, profile_s=PROFILE_S if profiles else 0.0
    )
    return plan if budget_s is None else replace(plan, budget_s=budget_s)
