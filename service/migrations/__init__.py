"""The PostgreSQL schema, version by version: the tables on one branch, their secondary indexes on another."""

from typing import Final

TABLES: Final = "tables"
"""The branch that every database has."""
INDEXES: Final = "indexes"
"""The branch that the database without secondary indexes lacks."""

CURRENT: Final = {(TABLES,): frozenset({"0003"}), (TABLES, INDEXES): frozenset({"0002", "0003"})}
"""What the version table of an up-to-date database says: a revision stands for those that it builds on."""
