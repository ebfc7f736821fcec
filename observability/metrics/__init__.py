"""Metrics in general: histograms with exemplars, the metrics server, file-based service discovery, the reference."""
