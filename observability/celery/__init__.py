"""Metrics, traces and lifecycle of Celery workers."""
