"""The SDK's transport, with a count of what became of every report."""

from typing import TYPE_CHECKING

from sentry_sdk.envelope import Envelope, Item
from sentry_sdk.transport import HttpTransport

from observability.export.counts import ExportCounts

if TYPE_CHECKING:
    from sentry_sdk._types import EventDataCategory  # exists for type checkers only

DISCARD_REASONS: dict[str, str] = {"queue_overflow": "dropped", "ratelimit_backoff": "dropped"}
"""The SDK's reasons for a report that was never tried; any other reason is a failure."""


def counting_transport(counts: ExportCounts) -> type[HttpTransport]:
    """Return a transport class whose reports are counted under the signal `errors`."""

    class CountingTransport(HttpTransport):
        """Sends envelopes from a thread of its own, from a bounded queue."""

        TIMEOUT = 5  # seconds; a report is not worth holding the queue for longer

        def capture_envelope(self, envelope: Envelope) -> None:
            """Queue an envelope; a full queue loses it."""
            counts.enqueued("errors", _reports(envelope))
            super().capture_envelope(envelope)

        def record_lost_event(
            self,
            reason: str,
            data_category: "EventDataCategory | None" = None,
            item: Item | None = None,
            *,
            quantity: int = 1,
        ) -> None:
            """Count a report that did not arrive."""
            if (item.data_category if item is not None else data_category) == "error":
                counts.dequeued("errors", DISCARD_REASONS.get(reason, "failed"), quantity)
            super().record_lost_event(reason, data_category, item, quantity=quantity)

        def _send_envelope(self, envelope: Envelope) -> None:
            lost = counts.undelivered("errors")
            super()._send_envelope(envelope)
            if counts.undelivered("errors") == lost:
                counts.dequeued("errors", "exported", _reports(envelope))

    return CountingTransport


def _reports(envelope: Envelope) -> int:
    return sum(item.data_category == "error" for item in envelope.items)
