"""The colours of series, the same on every board and distinct under every form of colour blindness."""

from typing import Final

from service.techniques import ARM_COLOURS

ARMS: Final = ARM_COLOURS

RESULTS: Final = {
    "hit": "#56a8f5",
    "stale": "#8ad0e6",
    "coalesced": "#b7a6e8",
    "miss": "#f0a35e",
    "error": "#e0566b",
}
"""Of cache lookups: cool colours avoided a computation, warm ones did not."""

LEVELS: Final = {"local": "#5fc9c0", "shared": "#5b7fd6", "edge": "#d68fc0"}
"""Of caches, from the process outwards."""

CACHES: Final = {"report": "#b08ce0", "board": "#4fb6c9", "reference": "#c9a24f"}
"""Of the service; caches of other applications get the colours of Grafana's palette."""

ENCODINGS: Final = {
    "identity": "#9397a1",
    "gzip": "#d9a441",
    "br": "#c76bb0",
    "zstd": "#5b8ff0",
    "deflate": "#b58a63",
}
"""Of response bodies; identity is grey like the arm that compresses nothing."""

STATUSES: Final = {
    "1xx": "#8e929b",
    "2xx": "#4c9be8",
    "3xx": "#7fc4e0",
    "4xx": "#dd9a1c",
    "5xx": "#d64550",
    "disconnected": "#b7a6e8",
}
"""Of responses, by class; disconnected: the client closed the connection first."""

OPERATIONS: Final = {
    "SELECT": "#5b8ff0",
    "INSERT": "#7fbf7f",
    "UPDATE": "#d9a441",
    "DELETE": "#d68fc0",
    "BEGIN": "#8e929b",
    "COMMIT": "#b5b8bf",
}
"""Of statements: reads are blue, transaction control is grey."""

GOOD: Final = "#2f9e6e"
WARNING: Final = "#dd9a1c"
BAD: Final = "#d64550"
QUIET: Final = "#8e929b"
"""For values that are neither good nor bad."""
