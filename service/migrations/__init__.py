"""The PostgreSQL schema, version by version: the tables on one branch, their secondary indexes on another."""

from typing import Final

TABLES: Final = "tables"
"""The branch of every database."""
INDEXES: Final = "indexes"
"""The branch of the database with secondary indexes."""

CURRENT: Final = {(TABLES,): frozenset({"0004"}), (TABLES, INDEXES): frozenset({"0002", "0004"})}
"""The version table of an up-to-date database: a revision implies those that it depends on."""
