"""Progress of loads in tests."""


class NullProgress:
    """Shows nothing."""

    def say(self, line: str) -> None:
        pass

    def step(self, title: str, total: int) -> None:
        pass

    def advance(self, rows: int) -> None:
        pass
