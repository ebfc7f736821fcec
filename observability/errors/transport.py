"""The SDK's transport, which counts error reports by outcome."""

from collections.abc import Callable
from typing import Any, Final

from sentry_sdk.envelope import Envelope, Item
from sentry_sdk.transport import HttpTransport

from observability.compat.sentry_sdk import OBSERVES_SENDING, SendingTransport
from observability.export.counts import ExportCounts

DISCARD_REASONS: Final = {"queue_overflow": "dropped", "ratelimit_backoff": "dropped"}
"""The SDK's reasons for a report that it did not try to send; any other reason is a failure."""


def counting_transport(counts: ExportCounts) -> type[HttpTransport]:
    """Return a transport class whose reports are counted under the signal `errors`.

    Where sending cannot be observed, a queued report counts as exported.
    """

    class CountingTransport(SendingTransport):
        TIMEOUT = 5  # seconds; a report is not worth holding the queue for longer

        def capture_envelope(self, envelope: Envelope) -> None:
            counts.enqueued("errors", _reports(envelope))
            super().capture_envelope(envelope)
            if not OBSERVES_SENDING:
                counts.dequeued("errors", "exported", _reports(envelope))

        def record_lost_event(
            self,
            reason: str,
            data_category: Any = None,
            item: Item | None = None,
            *,
            quantity: int = 1,
        ) -> None:
            if (item.data_category if item is not None else data_category) == "error":
                counts.dequeued("errors", DISCARD_REASONS.get(reason, "failed"), quantity)
            super().record_lost_event(reason, data_category, item, quantity=quantity)

        def send(self, envelope: Envelope, send: Callable[[], Any]) -> None:
            undelivered = counts.undelivered("errors")
            send()
            if counts.undelivered("errors") == undelivered:
                counts.dequeued("errors", "exported", _reports(envelope))

    return CountingTransport


def _reports(envelope: Envelope) -> int:
    return sum(item.data_category == "error" for item in envelope.items)
