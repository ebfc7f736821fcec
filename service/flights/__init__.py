"""Flights: lists, one flight, status updates."""
