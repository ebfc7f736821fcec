"""What is measured of an arm in a round: metrics, spans, traces."""
