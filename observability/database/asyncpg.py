"""asyncpg without SQLAlchemy: connections whose statements are observed.

A query logger of asyncpg is called in the next step of the event loop, when the request may have ended.
"""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Final, TypeVar

import asyncpg
from opentelemetry.util.types import AttributeValue

from observability.core.internal_errors import suppress_internal_errors
from observability.core.semconv import DB_SYSTEM_NAME, POOL_NAME
from observability.database.execution import StatementExecution
from observability.database.sql import statement_of

_Result = TypeVar("_Result")

_TRANSACTIONS: Final = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"})
"""Operations that transactions execute; those of SQLAlchemy's engines are not counted either."""


def observed_connection(role: str, finished: Callable[[StatementExecution], None]) -> type[asyncpg.Connection]:
    """Return a class of connections that calls `finished` after every execution, successful or not.

    Executions of prepared statements, cursors and `COPY` are not observed.
    """
    attributes: dict[str, AttributeValue] = {DB_SYSTEM_NAME: "postgresql", POOL_NAME: role}

    async def timed(query: str, result: Awaitable[_Result], batch_size: int = 1) -> _Result:
        error: BaseException | None = None
        started = perf_counter()
        try:
            return await result
        except BaseException as raised:
            error = raised
            raise
        finally:
            seconds = perf_counter() - started
            with suppress_internal_errors("queries"):
                statement = statement_of(query, "postgresql")
                if statement.operation not in _TRANSACTIONS:
                    finished(StatementExecution(role, statement, seconds, attributes, batch_size, error))

    class ObservedConnection(asyncpg.Connection):  # type: ignore[misc] # asyncpg has no types
        async def execute(self, query: str, *args: Any, **options: Any) -> Any:
            result = super().execute(query, *args, **options)
            # A pool resets each connection that is released.
            return await (result if query == self.get_reset_query() else timed(query, result))

        async def executemany(self, command: str, args: Any, **options: Any) -> Any:
            sets = list(args)
            return await timed(command, super().executemany(command, sets, **options), len(sets))

        async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
            return await timed(query, super().fetch(query, *args, **options))

        async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
            return await timed(query, super().fetchval(query, *args, **options))

        async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
            return await timed(query, super().fetchrow(query, *args, **options))

        async def fetchmany(self, query: str, args: Any, **options: Any) -> Any:
            sets = list(args)
            return await timed(query, super().fetchmany(query, sets, **options), len(sets))

    return ObservedConnection
