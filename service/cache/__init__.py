"""The response cache: finished responses in the process and in a shared store, until they expire or are invalidated."""
