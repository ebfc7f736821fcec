"""Traces: providers, propagation, sampling, the server span, and the span processors."""
