"""The statements and transactions of engines: which were repeated, could be cached, or run on a replica."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Final
from weakref import ref

from sqlalchemy import Engine

from observability.core.internal_errors import suppress_internal_errors
from observability.database.instrument_engine import replace_listeners
from observability.database.sql import statement_of
from observability.request.record import current_request
from observability.whatif.digest import Digest
from observability.whatif.plans import Plans
from observability.whatif.transactions import TransactionCounts

MAX_PARAMETERS: Final = 200
"""A statement with more values is not looked up: their digest would cost as much as it may save."""

_STARTED: Final = "_observability_whatif_started"
_TRANSACTION: Final = "observability.whatif.transaction"
_LOCKS: Final = ("FOR UPDATE", "FOR NO KEY UPDATE", "FOR SHARE", "FOR KEY SHARE")


def listen(pool: str, engine: Engine, *, digest: Digest, transactions: TransactionCounts, plans: Plans | None) -> None:
    """Add the engine's statements to the requests that execute them; explain slow ones, if there are plans."""
    listeners = _Listeners(pool, engine, digest, transactions, plans)
    replace_listeners(
        engine,
        "whatif",
        {
            "before_cursor_execute": listeners.begin,
            "after_cursor_execute": listeners.end,
            "commit": listeners.transaction_ended,
            "rollback": listeners.transaction_ended,
        },
    )


class _Listeners:
    def __init__(
        self, pool: str, engine: Engine, digest: Digest, transactions: TransactionCounts, plans: Plans | None
    ) -> None:
        self._pool = pool
        self._engine = ref(engine)
        self._dialect = engine.dialect.name
        self._digest = digest
        self._transactions = transactions
        self._plans = plans

    def begin(self, _conn: Any, _cursor: Any, _sql: str, _parameters: Any, context: Any, _many: bool) -> None:
        if context is not None:
            setattr(context, _STARTED, perf_counter())

    def end(self, conn: Any, _cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        with suppress_internal_errors("whatif"):
            statement = statement_of(sql, self._dialect)
            reads = statement.operation == "SELECT" and not any(lock in statement.text for lock in _LOCKS)
            tally = conn.info.setdefault(_TRANSACTION, [0, 0])
            tally[not reads] += 1
            started = getattr(context, _STARTED, None)
            request = current_request.get()
            observation = None if request is None else request.whatif
            if observation is None or started is None:
                return
            key = None
            if reads and not many and len(parameters or ()) <= MAX_PARAMETERS:
                key = self._digest(statement.text.encode(errors="replace"), _encoded(parameters))
            seconds = perf_counter() - started
            observation.add_statement(statement.text, key, seconds)
            engine = self._engine()
            if self._plans is not None and reads and not many and engine is not None:
                self._plans.consider(engine, statement.text, sql, parameters, seconds)

    def transaction_ended(self, conn: Any) -> None:
        with suppress_internal_errors("whatif"):
            reads, writes = conn.info.pop(_TRANSACTION, (0, 0))
            if reads or writes:
                self._transactions.add(self._pool, "write" if writes else "read", reads + writes)


def _encoded(parameters: Sequence[object] | Mapping[str, object] | None) -> bytes:
    return repr(parameters).encode(errors="replace")
