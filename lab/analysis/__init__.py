"""Effects with confidence intervals, computed from measurements."""
