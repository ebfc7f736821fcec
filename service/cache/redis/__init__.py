"""The store that processes share: entries, leases and invalidations in Redis, one round trip for each question."""
