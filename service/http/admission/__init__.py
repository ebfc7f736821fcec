"""Admission control: how many requests are worked on at a time, how many wait for a turn, and for how long."""
