"""Output of results: report, tables, charts, live progress, Prometheus metrics."""
