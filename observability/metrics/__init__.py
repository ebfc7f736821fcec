"""Metrics independent of what they measure: histograms with exemplars, the metrics server, file-based service
discovery, and the reference of all metrics. A metric itself belongs into the room of what it measures.
"""
