"""Experiments that measure the effect of a technique."""
