"""Sweeps: one setting over its range, its curve, and what to choose."""
