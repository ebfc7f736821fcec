"""Units of panels, by Grafana's names."""

from typing import Final

SECONDS: Final = "s"
BYTES: Final = "decbytes"
"""Powers of 1000, as networks and this project count."""
BYTES_PER_SECOND: Final = "Bps"
BITS_PER_SECOND: Final = "bps"
SHARE: Final = "percentunit"
"""A ratio from 0 to 1, shown as a percentage."""
COUNT: Final = "short"
FACTOR: Final = "suffix:\N{MULTIPLICATION SIGN}"
REQUESTS_PER_SECOND: Final = "reqps"
OPERATIONS_PER_SECOND: Final = "ops"
EVENTS_PER_SECOND: Final = "suffix:/s"
"""Counts per second of anything that is not a request."""
PER_REQUEST: Final = "suffix: /req"
WHEN: Final = "dateTimeFromNow"
