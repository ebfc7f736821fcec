"""The server's limits on request headers, requests that end with their connection, and graceful shutdown."""
