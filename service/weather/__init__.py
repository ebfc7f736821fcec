"""Weather: hourly readings from the upstream API."""
