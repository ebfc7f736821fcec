"""The weather at an airport and hour, asked of an upstream HTTP API."""
