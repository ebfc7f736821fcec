"""Finished answers, kept in the process and in a store that processes share, until what they say changes."""
