"""Reports unhandled exceptions to Sentry or a server with its protocol.

The SDK's web integrations do work for every request, which takes longer than a small request itself. Here the SDK is
called only for an exception, and the fields about the request are collected then.
"""

import logging
from functools import partial
from typing import Any, Final, cast

import sentry_sdk
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.scrubber import EventScrubber
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import BadDsn, event_from_exception

from observability.core.limits import RateLimiter
from observability.core.settings import TelemetrySettings
from observability.errors.context import request_context, without_secrets
from observability.errors.transport import counting_transport
from observability.export.counts import ExportCounts
from observability.privacy.request_secrets import scrubber_for
from observability.request.record import RequestRecord, current_request

REPORTS_PER_S: Final = 10
"""Limit of reports: one takes milliseconds, and a thousand equal ones are not more useful than ten."""

logger = logging.getLogger("observability.errors.reporter")


class ErrorReporter:
    """Reports unhandled exceptions with their trace and without secrets; does nothing without a DSN."""

    def __init__(self, *, settings: TelemetrySettings, counts: ExportCounts) -> None:
        self._settings = settings
        self._counts = counts
        self._rate = RateLimiter(REPORTS_PER_S)
        self._started = False
        self.enabled = bool(settings.sentry_dsn.get_secret_value())
        """Whether a DSN is configured."""

    def start(self, resource: Resource) -> None:
        """Initialise the SDK in the process that serves requests, unless the application already did."""
        if not self.enabled or sentry_sdk.is_initialized():
            return
        attributes, settings = resource.attributes, self._settings
        try:
            sentry_sdk.init(
                dsn=settings.sentry_dsn.get_secret_value(),
                environment=settings.sentry_environment
                or str(attributes.get("deployment.environment.name", "production")),
                release=settings.sentry_release or str(attributes.get("service.version", "")) or None,
                server_name=str(attributes["service.instance.id"]),
                transport=counting_transport(self._counts),
                before_send=partial(_before_send, trace_url=settings.trace_url),
                default_integrations=False,
                auto_enabling_integrations=False,
                integrations=[DedupeIntegration(), ExcepthookIntegration()],
                in_app_exclude=["observability"],
                # The SDK's scrubber would hide the values that ours searches for everywhere else.
                event_scrubber=EventScrubber(denylist=[], pii_denylist=[]),
                max_request_body_size="never",
                max_breadcrumbs=0,
                auto_session_tracking=False,
                enable_backpressure_handling=False,
            )
        except BadDsn as error:
            logger.error("SENTRY_DSN: %s; errors are not reported", error)  # noqa: TRY400 the traceback adds nothing
            self.enabled = False
            return
        self._started = True

    def stop(self, *, timeout_s: float) -> None:
        if self._started:
            self._started = False
            sentry_sdk.get_client().close(timeout=timeout_s)
            sentry_sdk.get_global_scope().set_client(None)

    def observe(self, record: RequestRecord, *, handler: str, error: BaseException | None, **_: object) -> None:
        if isinstance(error, Exception):
            self.report(error, **request_context(record, handler))

    def report(self, error: BaseException, **fields: Any) -> None:
        """Report an exception, with these fields of the event."""
        if not self.enabled or not sentry_sdk.is_initialized():
            return
        if not self._rate.allow():
            self._counts.dropped("errors")
            return
        event, hint = event_from_exception(
            error,
            client_options=sentry_sdk.get_client().options,
            mechanism={"type": "observability", "handled": False},
        )
        sentry_sdk.capture_event(cast("Event", {**event, **fields}), hint)


def _before_send(event: Event, hint: Hint, *, trace_url: str) -> Event | None:
    """Add the trace and remove secrets, from events that the application reports too."""
    record = current_request.get()
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        ids: dict[str, object] = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
        event["contexts"] = {**event.get("contexts", {}), "trace": ids}
        if trace_url:
            link = trace_url.replace("{trace_id}", f"{context.trace_id:032x}")
            event["extra"] = {**event.get("extra", {}), "trace_url": link}
    error = (hint.get("exc_info") or (None, None, None))[1]
    # The rest of a body that was not kept whole may be in any variable.
    keeps_locals = record is None or not record.body_is_cut
    return cast("Event", without_secrets(event, scrubber_for(error, record), keeps_locals=keeps_locals))
