"""What every other room builds on and what knows no library but OpenTelemetry's resource and prometheus_client:
settings, limits, bounded label values, the resource, and what happens to errors of our own.
"""
