"""Where drills run: embedded, in the compose stack, with PostgreSQL, beside a third-party application."""
