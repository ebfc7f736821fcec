"""What a cached response is: its entry, key, tags and policy."""
