from dataclasses import dataclass, field

import pytest


@dataclass
class Bodies:
    """A meter that remembers what it was told: encoding, bytes before and after, seconds."""

    seen: list[tuple[str, int, int, float]] = field(default_factory=list)

    def observe(self, *, encoding: str, before_bytes: int, after_bytes: int, seconds: float) -> None:
        self.seen.append((encoding, before_bytes, after_bytes, seconds))


@pytest.fixture
def bodies() -> Bodies:
    return Bodies()
