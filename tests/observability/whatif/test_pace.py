"""How many requests are observed."""

import pytest

from observability.whatif import pace as module
from observability.whatif.pace import CHECKED_EVERY, MAX_PER_S, Pace


@pytest.mark.parametrize(("per_s", "weight"), [(1.0, 1), (MAX_PER_S, 1), (10 * MAX_PER_S, 10)])
def test_the_weights_add_up_to_the_requests(monkeypatch: pytest.MonkeyPatch, per_s: float, weight: int) -> None:
    now = 0.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    pace = Pace()
    total = 0
    for _ in range(30 * CHECKED_EVERY):
        now += 1 / per_s
        total += pace.weight()
    assert pace._weight == weight
    assert total == pytest.approx(30 * CHECKED_EVERY, rel=0.1)
