"""The counts of error reports, whatever threads queue and lose at the same time."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sentry_sdk.envelope import Envelope

from observability.errors.transport import counting_transport
from observability.export.counts import ExportCounts


def envelope() -> Envelope:
    report = Envelope()
    report.add_event({"message": "failed"})
    return report


class Counted:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        queue = ExportCounts(self.registry).queue("errors")
        kind = counting_transport(queue)
        self.transport = kind.__new__(kind)
        self.transport.options = {"send_client_reports": False}
        queue.try_enqueue()

    def value(self, outcome: str) -> float:
        labels = {"signal": "errors", "outcome": outcome}
        return self.registry.get_sample_value("observability_export_total", labels) or 0

    @property
    def queued(self) -> float | None:
        return self.registry.get_sample_value("observability_export_queue_size", {"signal": "errors"})


def in_thread(work: Any) -> None:
    from threading import Thread  # noqa: PLC0415 used here only

    thread = Thread(target=work)
    thread.start()
    thread.join()


def test_a_report_dropped_while_another_is_sent_does_not_hide_it() -> None:
    counted = Counted()

    def dropped() -> None:
        counted.transport._worker = type("Full", (), {"submit": lambda *_: False})()
        counted.transport.on_dropped_event = lambda _: None  # type: ignore[method-assign, assignment]
        counted.transport.capture_envelope(envelope())

    counted.transport.send(envelope(), lambda: in_thread(dropped))  # type: ignore[attr-defined]
    assert (counted.value("exported"), counted.value("dropped"), counted.queued) == (1, 1, 0)


def test_a_report_lost_while_it_is_sent_is_counted_once() -> None:
    counted = Counted()
    lose = counted.transport.record_lost_event
    counted.transport.send(envelope(), lambda: lose("network_error", "error"))  # type: ignore[attr-defined]
    assert (counted.value("exported"), counted.value("failed"), counted.queued) == (0, 1, 0)


def test_an_error_of_the_transport_is_a_failed_report() -> None:
    counted = Counted()
    with pytest.raises(ZeroDivisionError):
        counted.transport.send(envelope(), lambda: 1 / 0)  # type: ignore[attr-defined]
    assert (counted.value("failed"), counted.queued) == (1, 0)


def test_a_duplicate_that_was_never_queued_changes_nothing() -> None:
    counted = Counted()
    counted.transport.record_lost_event("event_processor", "error")
    assert (counted.value("failed"), counted.queued) == (0, 1)
