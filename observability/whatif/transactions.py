"""Statements by what their transaction does."""

from typing import Literal

Access = Literal["read", "write"]


class TransactionCounts:
    """Statements by pool, in transactions that only read and in those that write."""

    def __init__(self) -> None:
        self.statements: dict[tuple[str, Access], int] = {}

    def add(self, pool: str, access: Access, statements: int) -> None:
        self.statements[pool, access] = self.statements.get((pool, access), 0) + statements
