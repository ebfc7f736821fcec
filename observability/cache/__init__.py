"""Metrics that the application's own cache and compression report: the application calls these, nothing is wrapped."""
