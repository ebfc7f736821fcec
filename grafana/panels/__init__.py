"""Panels in the house form: a unit, a description that says how to read it, the colours that everything else has.

Each function returns a builder of the library: boards go on with `.span()`, `.height()` and whatever the panel needs.
"""
