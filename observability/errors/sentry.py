"""The client of Sentry: its set-up, and the moment of a report."""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import sentry_sdk
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.scrubber import EventScrubber
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import event_from_exception

from observability.core.settings import TelemetrySettings
from observability.errors.context import without_secrets
from observability.errors.transport import counting_transport
from observability.export.counts import ExportQueue
from observability.privacy.request_secrets import scrubber_for
from observability.request.record import current_request

is_initialized = sentry_sdk.is_initialized


def start(settings: TelemetrySettings, resource: Resource, queue: ExportQueue) -> None:
    """Initialise the SDK; raise `ValueError` for an invalid DSN."""
    attributes = resource.attributes
    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.sentry_environment or str(attributes.get("deployment.environment.name", "production")),
        release=settings.sentry_release or str(attributes.get("service.version", "")) or None,
        server_name=str(attributes["service.instance.id"]),
        transport=counting_transport(queue),
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


def stop(*, timeout_s: float) -> None:
    """Send what is queued, and leave no client behind."""
    sentry_sdk.get_client().close(timeout=timeout_s)
    sentry_sdk.get_global_scope().set_client(None)


def report(error: BaseException, fields: Mapping[str, Any]) -> None:
    """Report an exception, with these fields of the event."""
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
