"""Dashboards as code: `boards/` generates the committed JSON in `dashboards/`."""
