"""A small result whose figures are known."""

from lab.analysis.environment import environment
from lab.analysis.outcome import compared
from lab.analysis.result import LabResult
from lab.core.servers import EMBEDDED, Servers
from lab.experiments import BY_NAME
from lab.load.recording import Recording
from lab.measure.metric import ArmRound
from lab.measure.rounds import Measurement, Round

ROUNDS = 6


def recording(latency_s: float, size_bytes: int) -> Recording:
    recorded = Recording(duration_s=1.0)
    for number in range(40):
        recorded.latencies["board"].record(latency_s * (1 + number / 100))
        recorded.count("board", status=200, received_bytes=size_bytes, error="")
    return recorded


def result(*, on_bytes: int = 20_000, rounds: int = ROUNDS) -> LabResult:
    measured = Measurement(
        rate_per_s=40.0,
        capacity_per_s={"baseline": 70.0, "compression": 65.0},
        rounds=[
            Round(
                at_s=10.0 * number,
                arms={
                    "baseline": ArmRound(open_loop=recording(0.2 + number / 1000, 200_000)),
                    "compression": ArmRound(open_loop=recording(0.2 - number / 1000, on_bytes + number)),
                },
            )
            for number in range(rounds)
        ],
    )
    sides = {"baseline": frozenset[str](), "compression": frozenset({"compression"})}
    return LabResult(
        command="flightdeck lab run compression <quick>",
        seed=1,
        started_at="2026-01-02T03:04:05+00:00",
        duration_s=61.0,
        is_interrupted=False,
        environment=environment(Servers(EMBEDDED)),
        techniques={"compression": compared(BY_NAME["compression"], measured, sides=sides)},
        skipped={"pooling": "needs <a pool>"},
    )
