"""The server's limits on request headers, and graceful shutdown."""
