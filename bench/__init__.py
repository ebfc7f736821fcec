"""Measurements of what must be fast, side by side."""
