"""The processes that are compared, with their databases and the upstream service."""
