"""Itineraries between two airports on a day: which flights connect, found by a search that takes real CPU time."""
