"""Cached responses on their way to the client: conditional requests, and hits that skip the rest of the stack."""
