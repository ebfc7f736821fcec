"""What people read: report, tables, charts, live progress, Prometheus metrics."""
