"""Error reports to a Sentry-compatible server."""
