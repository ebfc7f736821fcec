"""SQLAlchemy engines: pools, statements, and SQL text without values."""
