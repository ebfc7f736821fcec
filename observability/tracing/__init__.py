"""Traces: the provider, propagation, sampling, the server span and its attributes, and the span processors. Spans of
databases, clients and tasks belong into their rooms.
"""
