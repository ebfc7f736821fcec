"""Structured logs: the set-up of logging, the format, correlation with traces, the access log, and export over OTLP."""
