"""The statements that one request executed."""

from collections import Counter as Tally

from observability.sql import Statement


class RequestQueries:
    """The statements that one request executed, from any thread or task that works for it."""

    __slots__ = ("statements",)

    def __init__(self) -> None:
        self.statements: list[Statement] = []  # appending is atomic, adding to a number is not

    def repeated(self, threshold: int) -> dict[Statement, int]:
        """Return the statements that were executed at least `threshold` times, with how often."""
        if len(self.statements) < threshold:
            return {}
        return {statement: times for statement, times in Tally(self.statements).items() if times >= threshold}
