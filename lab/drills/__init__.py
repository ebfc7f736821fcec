"""Drills: a fault caused on purpose, its alert seen firing and delivered, the fault ended, the alert seen resolved."""
