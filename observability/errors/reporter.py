"""Unhandled exceptions on their way to Sentry, or to anything that speaks its protocol.

The SDK's own web integrations work for every request, whether it fails or not, and cost more than the request. Here the
SDK is asked only when there is an exception; what a report says about the request is collected then.
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
"""Reports in a second, at most: one takes milliseconds, and a thousand of the same say no more than ten."""

logger = logging.getLogger("observability.errors.reporter")


class ErrorReporter:
    """Reports unhandled exceptions, with the trace they belong to and without secrets; does nothing without a DSN."""

    def __init__(self, *, settings: TelemetrySettings, counts: ExportCounts) -> None:
        self._settings = settings
        self._counts = counts
        self._rate = RateLimiter(REPORTS_PER_S)
        self._started = False
        self.enabled = bool(settings.sentry_dsn.get_secret_value())
        """Whether a DSN is configured."""

    def start(self, resource: Resource) -> None:
        """Initialise the SDK, in the process that answers requests; leave one alone that is initialised already."""
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
                # The SDK's scrubber would hide the values that ours looks for everywhere else.
                event_scrubber=EventScrubber(denylist=[], pii_denylist=[]),
                max_request_body_size="never",
                max_breadcrumbs=0,
                auto_session_tracking=False,
                enable_backpressure_handling=False,
            )
        except BadDsn as error:
            logger.error("SENTRY_DSN: %s; errors are not reported", error)  # noqa: TRY400 the message says it all
            self.enabled = False
            return
        self._started = True

    def stop(self, *, timeout_s: float) -> None:
        """Send what is queued, but wait no longer than the timeout."""
        if self._started:
            self._started = False
            sentry_sdk.get_client().close(timeout=timeout_s)
            sentry_sdk.get_global_scope().set_client(None)

    def observe(self, record: RequestRecord, *, handler: str, error: BaseException | None, **_: object) -> None:
        """Report the request's exception, if it ended with one."""
        if isinstance(error, Exception):
            self.report(error, **request_context(record, handler))

    def report(self, error: BaseException, **about: Any) -> None:
        """Report an exception; `about` are fields of the event that say where it happened."""
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
        sentry_sdk.capture_event(cast("Event", {**event, **about}), hint)


def _before_send(event: Event, hint: Hint, *, trace_url: str) -> Event | None:
    """Put the trace into the report and take the secrets out of it; also of what the application reports itself."""
    record = current_request.get()
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        ids: dict[str, object] = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
        event["contexts"] = {**event.get("contexts", {}), "trace": ids}
        if trace_url:
            link = trace_url.replace("{trace_id}", f"{context.trace_id:032x}")
            event["extra"] = {**event.get("extra", {}), "trace_url": link}
    error = (hint.get("exc_info") or (None, None, None))[1]
    # Of a body that was longer than what was kept of it nobody knows what is in it.
    keeps_locals = record is None or not record.body_is_cut
    return cast("Event", without_secrets(event, scrubber_for(error, record), keeps_locals=keeps_locals))
