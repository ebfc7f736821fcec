"""The judge of a canary: two running versions, read from Prometheus, with a sequential test."""
