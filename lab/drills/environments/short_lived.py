"""A process that serves metrics and nothing else: `python -m lab.drills.environments.short_lived PORT`."""

import sys
from threading import Event

from prometheus_client import start_http_server


def main(port: int) -> None:
    """Serve the metrics that every process has, until it is killed."""
    start_http_server(port, "127.0.0.1")
    Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
