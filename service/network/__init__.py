"""Name resolution and connections to servers."""
