"""What every room of the service builds on: tables, database URLs, periodic work."""
