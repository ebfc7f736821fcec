"""The model of a cached response: entry, key, tags and policy."""
