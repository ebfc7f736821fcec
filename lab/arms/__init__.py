"""The processes that are compared, and what they need: databases, the upstream."""
