"""The flight-status API."""
