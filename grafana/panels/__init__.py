"""Panels with a unit, a description and the shared colours.

Each function returns a builder of the library, on which boards call `.span()`, `.height()` and what else they need.
"""
