"""Smaller response bodies: negotiated, made off the event loop when large, made once when kept."""
