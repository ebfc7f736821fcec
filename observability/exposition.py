"""The metrics port: a thread of its own, so that metrics can be read while the event loop is blocked."""

import errno
import logging
from threading import Thread
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

logger = logging.getLogger("observability")

PORTS_TRIED: Final = 64
"""How far from the configured port a worker looks for a free one."""


class MetricsServer:
    """Serves a registry on the first free port from the configured one on; OpenMetrics where the reader asks for it."""

    def __init__(self, registry: CollectorRegistry, *, host: str, port: int) -> None:
        self._registry = registry
        self._host = host
        self._wanted = port
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None

    @property
    def port(self) -> int | None:
        """The port that is served, or None while nothing is."""
        return self._server.server_port if self._server else None

    def start(self) -> None:
        """Begin to serve; if no port is free, say so and go on without."""
        ports = range(self._wanted, min(self._wanted + PORTS_TRIED, 65536)) if self._wanted else [0]
        for port in ports:
            try:
                self._server, self._thread = start_http_server(port, self._host, self._registry)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            if port != self._wanted:
                logger.info("metrics port %d is taken; serving metrics on %s:%d", self._wanted, self._host, port)
            return
        logger.error("no free metrics port from %d on; metrics are not served", self._wanted)

    def stop(self) -> None:
        """Free the port."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = None

    def abandon(self) -> None:
        """Close a forked child's copy of its parent's socket; the thread that serves it is in the parent only."""
        if self._server:
            self._server.server_close()
        self._server = self._thread = None
