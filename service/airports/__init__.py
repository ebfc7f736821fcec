"""Airports: the reference table, distances, departure boards."""
