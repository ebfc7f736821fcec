"""Reports unhandled exceptions to Sentry or a server with its protocol.

The SDK's web integrations do work for every request, which takes longer than a small request itself. Here the SDK is
called only for an exception, and the fields about the request are collected then.
"""

import logging
from types import ModuleType
from typing import Any, Final

from opentelemetry.sdk.resources import Resource

from observability.core.extras import MissingExtra, requires
from observability.core.limits import RateLimiter
from observability.core.settings import TelemetrySettings
from observability.errors.context import request_context
from observability.export.counts import ExportCounts, ExportQueue
from observability.request.record import RequestRecord

REPORTS_PER_S: Final = 10
"""Limit of reports: one takes milliseconds, and a thousand equal ones are not more useful than ten."""

logger = logging.getLogger("observability.errors.reporter")


class ErrorReporter:
    """Reports unhandled exceptions with their trace and without secrets; does nothing without a DSN."""

    def __init__(self, *, settings: TelemetrySettings, counts: ExportCounts) -> None:
        self._settings = settings
        self._counts = counts
        self._rate = RateLimiter(REPORTS_PER_S)
        self._sdk: ModuleType | None = None
        self._queue: ExportQueue | None = None
        self.enabled = bool(settings.sentry_dsn.get_secret_value())
        """Whether a DSN is configured."""

    def start(self, resource: Resource) -> None:
        """Initialise the SDK in the process that serves requests, unless the application already did."""
        if not self.enabled:
            return
        try:
            with requires("sentry", needed_for="SENTRY_DSN"):
                from observability.errors import sentry  # noqa: PLC0415 an extra

            if not sentry.is_initialized():
                queue = self._counts.queue("errors")
                sentry.start(self._settings, resource, queue)
                self._queue = queue
        except MissingExtra as error:
            logger.error("%s; errors are not reported", error)  # noqa: TRY400 the traceback adds nothing
            self.enabled = False
        except ValueError as error:
            logger.error("SENTRY_DSN: %s; errors are not reported", error)  # noqa: TRY400 the same
            self.enabled = False
        else:
            self._sdk = sentry

    def stop(self, *, timeout_s: float) -> None:
        """Send what is queued; count what was not sent in time as dropped."""
        if self._sdk is not None and self._queue is not None:
            self._sdk.stop(timeout_s=timeout_s)
            self._queue.close()
            self._queue = None

    def observe(self, record: RequestRecord, *, handler: str, error: BaseException | None, **_: object) -> None:
        if isinstance(error, Exception):
            self.report(error, **request_context(record, handler))

    def report(self, error: BaseException, **fields: Any) -> None:
        """Report an exception, with these fields of the event."""
        if self._sdk is None or not self.enabled or not self._sdk.is_initialized():
            return
        if not self._rate.allow():
            self._counts.dropped("errors")
            return
        self._sdk.report(error, fields)
