"""Access to the database: engines by role, sessions to read and to write."""

from service.database.database import Database

__all__ = ["Database"]
