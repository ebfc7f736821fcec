"""Dashboards as code: Python in `boards/` becomes the committed JSON in `dashboards/`."""
