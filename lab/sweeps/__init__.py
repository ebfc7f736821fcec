"""Sweeps: a setting over its range, its curve, and a recommended value."""
