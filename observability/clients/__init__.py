"""Metrics and spans of outgoing calls."""
