"""Experiments that tell what a technique buys."""
