"""The statements that make and fill the tables, and the version that tells one schema from another."""

import hashlib

from sqlalchemy import Dialect, Table, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from service.core.models import SECONDARY_INDEXES, Base

SQLITE = sqlite.dialect(paramstyle="qmark")


def table_statements(dialect: Dialect) -> list[str]:
    """Return the statements that make the tables, with primary keys only."""
    return [str(CreateTable(table).compile(dialect=dialect)) for table in Base.metadata.sorted_tables]


def index_statements(dialect: Dialect) -> list[str]:
    """Return the statements that make the secondary indexes."""
    return [str(CreateIndex(index).compile(dialect=dialect)) for index in SECONDARY_INDEXES]


def insert_statement(table: Table, dialect: Dialect) -> str:
    """Return the statement that inserts a whole row, in the order of the table's columns."""
    return str(insert(table).compile(dialect=dialect))


def embedded_version() -> int:
    """Return the number that a SQLite database with these tables carries as its `user_version`."""
    statements = "\n".join([*table_statements(SQLITE), *index_statements(SQLITE)])
    return int.from_bytes(hashlib.sha256(statements.encode()).digest()[:4]) >> 1  # a positive 32-bit integer
