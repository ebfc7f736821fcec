"""Celery applications: metrics and trace context of published and executed tasks, and the telemetry of worker
processes. Nothing else imports Celery.
"""
