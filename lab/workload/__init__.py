"""Requests to any service: read from TOML, HAR, OpenAPI or an access log, and drawn the same for every arm."""
