"""Metrics that an application's cache and compression report."""
