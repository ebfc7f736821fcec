"""Plans of slow statements: a full scan of a table for few of its rows, which an index would save.

`EXPLAIN` without `ANALYZE` executes nothing. The shares are those of the planner's costs (PostgreSQL documentation,
"Using EXPLAIN"); SQLite has no costs and no estimate of rows, so there the rows of the statement are counted once.
"""

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from dataclasses import dataclass, replace
from math import inf
from threading import Lock, Thread
from time import monotonic
from typing import Any, Final

from sqlalchemy import Connection, Engine, column, func, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from observability.core.internal_errors import suppress_internal_errors
from observability.core.labels import BoundedValues
from observability.database.instrument_engine import UNOBSERVED

SLOW_S: Final = 0.005
"""A statement that takes less is not explained."""
EVERY_S: Final = 3600.0
"""Until a statement is explained again."""
MAX_STATEMENTS: Final = 500
"""Texts whose plan is known; the ones explained least recently are dropped."""
FEW: Final = 0.1
"""Share of the rows read above which a full scan is as good as an index."""
MIN_ROWS: Final = 1000
"""Of a table; a smaller one is read in no time."""

_PASSES_ROWS: Final = {"Gather", "Gather Merge", "Subquery Scan", "Result", "Materialize", "LockRows", "ProjectSet"}
_SORTS: Final = {"Sort", "Incremental Sort"}
_AGGREGATES: Final = re.compile(r"\b(group\s+by|distinct|count|sum|avg|min|max|total|group_concat)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FullScan:
    """A table that a statement reads as a whole, for few of its rows."""

    table: str
    read_rows: float
    returned_rows: float
    cost_share: float
    """Of the statement's cost."""

    @property
    def saved_share(self) -> float:
        """Share of the statement's time that an index would save."""
        return self.cost_share * (1 - self.returned_rows / self.read_rows)

    @property
    def is_wasteful(self) -> bool:
        return self.read_rows >= MIN_ROWS and self.returned_rows <= FEW * self.read_rows


class Plans:
    """Explains slow statements in the background, one at a time, on a connection of its own."""

    def __init__(self) -> None:
        self.explained = 0
        self.scans: dict[str, FullScan] = {}
        """The largest full scan of each statement that has one, by the text without values."""
        self._due_s: OrderedDict[str, float] = OrderedDict()
        self._busy = Lock()
        self._tables = BoundedValues()
        self._tasks: set[asyncio.Task[None]] = set()

    def consider(self, engine: Engine, statement: str, sql: str, parameters: Any, seconds: float) -> None:
        """Explain a read statement if it was slow and is due; `statement` is its text without values."""
        if seconds < SLOW_S or engine.dialect.name not in _EXPLAIN:
            return
        if self._due_s.get(statement, -inf) > monotonic() or not self._busy.acquire(blocking=False):
            return
        try:
            self._due_s[statement] = monotonic() + EVERY_S
            self._due_s.move_to_end(statement)
            if len(self._due_s) > MAX_STATEMENTS:
                self.scans.pop(self._due_s.popitem(last=False)[0], None)
            own = Engine(engine.pool.recreate(), engine.dialect, engine.url, execution_options={UNOBSERVED: True})
            if engine.dialect.is_async:
                explaining = self._explain_async(AsyncEngine(own), statement, sql, parameters)
                # Not in the request's context: its statements are not the request's.
                task = asyncio.get_running_loop().create_task(explaining, context=Context())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                explained = (own, statement, sql, parameters)
                Thread(target=self._explain, args=explained, name="observability-explain", daemon=True).start()
        except BaseException:
            self._busy.release()
            raise

    def _explain(self, engine: Engine, statement: str, sql: str, parameters: Any) -> None:
        try:
            with suppress_internal_errors("whatif"):
                with engine.connect() as connection:
                    self._found(statement, _scan(connection, sql, parameters))
                engine.dispose()
        finally:
            self._busy.release()

    async def _explain_async(self, engine: AsyncEngine, statement: str, sql: str, parameters: Any) -> None:
        try:
            with suppress_internal_errors("whatif"):
                async with engine.connect() as connection:
                    self._found(statement, await connection.run_sync(_scan, sql, parameters))
                await engine.dispose()
        finally:
            self._busy.release()

    def _found(self, statement: str, scan: FullScan | None) -> None:
        self.explained += 1
        if scan is None:
            self.scans.pop(statement, None)
        else:
            self.scans[statement] = replace(scan, table=self._tables(scan.table))


class PlanUnavailable(RuntimeError):
    """The database returned no plan; the message has nothing of the statement."""


def _scan(connection: Connection, sql: str, parameters: Any) -> FullScan | None:
    try:
        return full_scan(connection, sql, parameters)
    except DBAPIError as error:  # its message has the values, and so may the driver's
        raise PlanUnavailable(f"{connection.dialect.name} returned no plan: {type(error.orig).__name__}") from None


def full_scan(connection: Connection, sql: str, parameters: Any) -> FullScan | None:
    """Return the statement's full scan that an index would save most of, None if it has none that is wasteful."""
    sql = sql.rstrip().removesuffix(";")
    scans = [scan for scan in _EXPLAIN[connection.dialect.name](connection, sql, parameters) if scan.is_wasteful]
    return max(scans, key=lambda scan: scan.saved_share, default=None)


def _postgresql(connection: Connection, sql: str, parameters: Any) -> Iterator[FullScan]:
    found = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON, VERBOSE) {sql}", parameters).scalar_one()
    plan: Mapping[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    rows_of = text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:name)")
    for node, returned_rows, cost in _sequential_scans(plan):
        quoted = connection.dialect.identifier_preparer.quote
        name = f"{quoted(node['Schema'])}.{quoted(node['Relation Name'])}"
        yield FullScan(
            table=node["Relation Name"],
            read_rows=connection.scalar(rows_of, {"name": name}) or 0.0,
            returned_rows=returned_rows,
            cost_share=min(cost / (plan["Total Cost"] or 1.0), 1.0),
        )


def _sequential_scans(
    node: Mapping[str, Any], *, limit: float = inf, needed: float = inf, cost: float = 0.0
) -> Iterator[tuple[Mapping[str, Any], float, float]]:
    """Yield the sequential scans of a plan, each with the rows that are needed of it and its cost.

    A limit above a sort is what the sort needs of its rows; one above a scan ends the scan early.
    """
    kind = node["Node Type"]
    if kind == "Seq Scan":
        if limit == inf:
            yield node, min(needed, node["Plan Rows"]), max(cost, node["Total Cost"])
        return
    if kind == "Limit":
        limit = min(limit, node["Plan Rows"])
    elif kind in _SORTS and limit < inf:
        needed, cost, limit = min(needed, limit), node["Total Cost"], inf
    elif kind not in _PASSES_ROWS:
        limit, needed, cost = inf, inf, 0.0
    for inner in node.get("Plans", ()):
        yield from _sequential_scans(inner, limit=limit, needed=needed, cost=cost)


def _sqlite(connection: Connection, sql: str, parameters: Any) -> Iterator[FullScan]:
    steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    reads = [step.split() for step in steps if step.startswith(("SCAN ", "SEARCH "))]
    is_sorted = "USE TEMP B-TREE FOR ORDER BY" in steps
    if _AGGREGATES.search(sql) or (re.search(r"\blimit\b", sql, re.IGNORECASE) and not is_sorted):
        return  # rows are not what the scan returns, or the scan ends early
    tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    returned_rows: int | None = None
    for kind, read, *using in reads:
        name = read if read in tables else _aliased(read, sql, tables)
        if kind == "SCAN" and not using and name in tables:
            if returned_rows is None:
                counted = f"SELECT count(*) FROM ({sql})"  # noqa: S608 executed before, as it is
                returned_rows = connection.exec_driver_sql(counted, parameters).scalar_one()
            rows = connection.scalar(select(func.max(column("rowid"))).select_from(table(name)))
            yield FullScan(table=name, read_rows=rows or 0, returned_rows=returned_rows, cost_share=1 / len(reads))


def _aliased(alias: str, sql: str, tables: set[str]) -> str:
    """Return the table of an alias; the alias itself if it is none of a table."""
    names = re.findall(rf'"?(\w+)"?\s+(?:AS\s+)?"?{re.escape(alias)}\b', sql, re.IGNORECASE)
    return next((name for name in names if name in tables), alias)


_EXPLAIN: Final[Mapping[str, Callable[[Connection, str, Any], Iterator[FullScan]]]] = {
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}
"""By dialect."""
