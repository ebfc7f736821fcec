"""Drills: inject a real fault, require its alert to fire and be delivered, end the fault, require it to resolve."""
