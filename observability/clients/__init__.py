"""Metrics and spans of outgoing calls, one module per client library."""
