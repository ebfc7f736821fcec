"""The metrics server, in a separate thread, so that metrics can be scraped while the event loop is blocked."""

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Final
from wsgiref.simple_server import WSGIServer
from wsgiref.types import WSGIApplication

from opentelemetry.sdk.resources import Resource
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME
from prometheus_client import CollectorRegistry, start_http_server

from observability.core.semconv import SERVICE_INSTANCE_ID
from observability.core.settings import TelemetrySettings
from observability.metrics.file_sd import FileSdTarget

logger = logging.getLogger("observability")

PORTS_TRIED: Final = 64
"""From the configured port on; the first free one is used."""


class NoFreePort(OSError):
    def __init__(self, host: str, ports: range) -> None:
        super().__init__(
            errno.EADDRINUSE,
            f"metrics are not served: {host} has no free port from {ports.start} to {ports.stop - 1}; "
            "set OTEL_EXPORTER_PROMETHEUS_PORT to another one, or to 0 for any",
        )


class MetricsServer:
    """Serves a registry on the first free port from the configured one on, as OpenMetrics if the client accepts it.

    `around(application)` is served instead of the application that serves the metrics.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        settings: TelemetrySettings,
        around: Callable[[WSGIApplication], WSGIApplication] | None = None,
    ) -> None:
        self._registry = registry
        self._around = around
        self._host = settings.metrics_host
        self._wanted = settings.metrics_port
        self._targets_dir = settings.metrics_targets_dir
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None
        self._target: FileSdTarget | None = None

    @property
    def port(self) -> int | None:
        """The port, or None while the server is stopped."""
        return self._server.server_port if self._server else None

    def start(self, resource: Resource) -> None:
        """Start serving, and write the target file if a directory is configured.

        Raise `NoFreePort`, or another `OSError` for an invalid address or directory.
        """
        port = self._listen()
        if self._targets_dir:
            service, worker = (str(resource.attributes[name]) for name in (SERVICE_NAME, SERVICE_INSTANCE_ID))
            self._target = FileSdTarget(Path(self._targets_dir), service=service)
            self._target.write(host=self._host, port=port, labels={"service": service, "worker": worker})

    def stop(self) -> None:
        if self._target:
            self._target.remove()
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = self._target = None

    def discard_after_fork(self) -> None:
        """Close a forked child's copy of its parent's socket, which only the parent has a thread for."""
        if self._server:
            self._server.server_close()
        self._server = self._thread = self._target = None

    def _listen(self) -> int:
        ports = range(self._wanted, min(self._wanted + PORTS_TRIED, 65536)) if self._wanted else range(1)
        for port in ports:
            try:
                self._server, self._thread = start_http_server(port, self._host, self._registry)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            application = self._server.get_app()
            if self._around is not None and application is not None:
                self._server.set_app(self._around(application))
            if self._wanted and port != self._wanted:
                logger.info("metrics port %d is taken; this process serves its metrics on %d", self._wanted, port)
            return self._server.server_port
        raise NoFreePort(self._host, ports)
