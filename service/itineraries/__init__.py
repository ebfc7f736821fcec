"""Itineraries between two airports on a day: connecting flights, found by a CPU-bound search."""
