"""Faults that a drill injects into this process, with the setting `OBSERVABILITY_FAULTS` only."""
