"""The shared store in Redis."""
