"""Error reports to a Sentry-compatible server: when one is sent, what it contains, and how it is counted."""
