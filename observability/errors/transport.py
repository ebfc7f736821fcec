"""The SDK's transport, which counts error reports by outcome."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from sentry_sdk.envelope import Envelope, Item
from sentry_sdk.transport import HttpTransport

from observability.compat.sentry_sdk import OBSERVES_SENDING, SendingTransport
from observability.export.counts import ExportQueue

DISCARD_REASONS: Final = {"queue_overflow": "dropped", "ratelimit_backoff": "dropped"}
"""The SDK's reasons for a report that it did not try to send; any other reason is a failure."""


_lost: Final[ContextVar[list[int] | None]] = ContextVar("observability_lost_reports", default=None)
"""Reports of the envelope that this thread queues or sends which were lost; other threads queue at the same time."""


@contextmanager
def _losses() -> Iterator[list[int]]:
    lost: list[int] = []
    token = _lost.set(lost)
    try:
        yield lost
    finally:
        _lost.reset(token)


def counting_transport(queue: ExportQueue) -> type[HttpTransport]:
    """Return a transport class whose reports are counted in the queue.

    Where sending cannot be observed, a queued report counts as exported.
    """

    class CountingTransport(SendingTransport):
        TIMEOUT = 5  # seconds; a report is not worth holding the queue for longer

        def capture_envelope(self, envelope: Envelope) -> None:
            if not queue.try_enqueue(_reports(envelope)):
                return  # the SDK would start its thread again, which no shutdown ends
            with _losses() as lost:
                super().capture_envelope(envelope)
            if not OBSERVES_SENDING and not lost:
                queue.dequeued("exported", _reports(envelope))

        def record_lost_event(
            self,
            reason: str,
            data_category: Any = None,
            item: Item | None = None,
            *,
            quantity: int = 1,
        ) -> None:
            lost = _lost.get()
            # Outside of the queue a report is discarded on purpose: by `before_send`, or as a duplicate.
            if lost is not None and (item.data_category if item is not None else data_category) == "error":
                queue.dequeued(DISCARD_REASONS.get(reason, "failed"), quantity)
                lost.append(quantity)
            super().record_lost_event(reason, data_category, item, quantity=quantity)

        def send(self, envelope: Envelope, send: Callable[[], Any]) -> None:
            outcome = "failed"
            with _losses() as lost:
                try:
                    send()
                    outcome = "exported"
                finally:
                    queue.dequeued(outcome, _reports(envelope) - sum(lost))

    return CountingTransport


def _reports(envelope: Envelope) -> int:
    return sum(item.data_category == "error" for item in envelope.items)
