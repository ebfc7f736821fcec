"""Structured logs, their correlation with traces, the access log, and their export."""
