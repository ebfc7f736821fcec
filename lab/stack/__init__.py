"""Checks of the running compose stack: every server responds, and every signal arrives."""
