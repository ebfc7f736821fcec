"""Queries, statements and connection pools of SQLAlchemy engines."""
