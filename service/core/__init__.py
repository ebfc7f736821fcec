"""What every other room of the service builds on: tables, database URLs, quotas, background work."""
