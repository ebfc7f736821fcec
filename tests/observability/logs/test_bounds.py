"""No exported record is beyond what back ends accept, and each says what was truncated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.util.types import AnyValue
from prometheus_client import CollectorRegistry

from observability import TelemetrySettings
from observability.core.semconv import LOG_TRUNCATED
from observability.export.counts import ExportCounts
from observability.logs.access_log import AccessRecord
from observability.logs.bounds import (
    MAX_ATTRIBUTES,
    MAX_ATTRIBUTES_BYTES,
    MAX_BODY_BYTES,
    RecordBounds,
)
from observability.logs.otlp import MAX_REQUEST_BYTES, log_export
from tests.observability.core.test_truncation import failing
from tests.observability.logs.test_fields import attributes, exported, handled
from tests.servers.http import recording

RESOURCE = {"service.name": "shop", "service.instance.id": "a" * 36, "team": "blue"}
values = st.one_of(
    st.builds(lambda text, times: text * times, st.text("aé€😀", min_size=1, max_size=3), st.integers(1, 40_000)),
    st.integers(),
    st.booleans(),
)
names = st.builds(lambda text, times: text * times, st.text("ab.é", min_size=1, max_size=3), st.integers(1, 2_000))


def size(text: object) -> int:
    return len(str(text).encode())


@given(values, st.dictionaries(names, values, max_size=12), st.integers(0, 300))
def test_nothing_is_beyond_the_bounds(body: Any, own: dict[str, Any], further: int) -> None:
    given_attributes = own | {f"field {number}": number for number in range(further)}
    kept_body, kept = RecordBounds(RESOURCE).apply(str(body), given_attributes)
    everything = {**RESOURCE, **kept}
    assert size(kept_body) <= MAX_BODY_BYTES
    assert len(RESOURCE) + len(kept) <= MAX_ATTRIBUTES
    assert sum(size(name) + size(value) for name, value in everything.items()) <= MAX_ATTRIBUTES_BYTES
    assert (LOG_TRUNCATED in kept) == ((kept_body, kept) != (str(body), given_attributes))


def test_a_record_within_the_bounds_stays_the_same() -> None:
    fields: dict[str, AnyValue] = {"short": "a", "long": "b" * 40_000, "number": 7}
    assert RecordBounds(RESOURCE).apply("sold out" * 1000, fields) == ("sold out" * 1000, fields)


def test_the_record_says_what_was_truncated_and_its_size() -> None:
    body, kept = RecordBounds(RESOURCE).apply("é" * 200_000, {f"{n}": n for n in range(300)} | {"last": 1})
    assert body.endswith("é…")
    assert kept[LOG_TRUNCATED] == "body: 400000 bytes, 301 attributes"
    fields = {"first": "a" * 90_000, "small": "b" * 500, "second": "c" * 70_000}
    _, kept = RecordBounds(RESOURCE).apply("sold out", fields)
    assert kept[LOG_TRUNCATED] == "first: 90000 bytes, second: 70000 bytes"
    assert kept["small"] == "b" * 500
    assert size(kept["first"]) == size(kept["second"]) > 30_000


def test_names_that_are_truncated_stay_different() -> None:
    _, kept = RecordBounds({}).apply("sold out", {"a" * 40_000: 1, "a" * 40_001: 2})
    assert [value for name, value in kept.items() if name != LOG_TRUNCATED] == [1, 2]


def test_a_long_resource_leaves_less_to_the_record() -> None:
    _, kept = RecordBounds({"description": "d" * 50_000}).apply("sold out", {"long": "a" * 20_000})
    assert 10_000 < size(kept["long"]) < 14_000


def test_exported_records_are_within_the_bounds_and_keep_the_line_that_raised() -> None:
    def log(logger: Any) -> None:
        try:
            failing(300, "no seat")
        except ValueError as error:
            for number in range(40):
                error.add_note(f"note {number} " + "n" * 200)
            logger.exception("x" * 1_000_000, extra={f"f{n}": "v" * 3000 for n in range(200)})

    (record,) = exported(log)
    own = attributes(record)
    assert size(record.body.string_value) == MAX_BODY_BYTES
    assert len(own) <= MAX_ATTRIBUTES
    assert sum(size(name) + size(value) for name, value in own.items()) <= MAX_ATTRIBUTES_BYTES
    assert own[LOG_TRUNCATED].startswith("body: 1000000 bytes, ")
    assert "raise ValueError(message)" in own["exception.stacktrace"]
    assert own["exception.type"] == "ValueError"


def access(path: str) -> AccessRecord:
    return AccessRecord(0.0, "GET", path, "unmatched", 404, 0.1, 0, 0, "", 1, 2, "")


def test_a_large_batch_is_several_requests_that_are_counted_together() -> None:
    registry = CollectorRegistry()
    with recording() as collector:
        exporting = TelemetrySettings(logs_exporter="otlp", otlp_endpoint=collector.url, export_delay_ms=60_000)
        handler = log_export(exporting, ExportCounts(registry), Resource({}))
        assert handler is not None
        with handled(handler) as logger:
            for _ in range(40):
                logger.error("x" * MAX_BODY_BYTES)
            handler.access(access("/" + "p" * 60_000))
        handler.stop(timeout_s=20)
    requests = [ExportLogsServiceRequest.FromString(body) for body in collector.bodies("/v1/logs")]
    scopes = [scope for one in requests for group in one.resource_logs for scope in group.scope_logs]
    assert sum(len(scope.log_records) for scope in scopes) == 41
    assert len(requests) >= 3
    assert max(one.ByteSize() for one in requests) < MAX_REQUEST_BYTES * 1.05
    outcomes = {"signal": "logs", "outcome": "exported"}
    assert registry.get_sample_value("observability_export_total", outcomes) == 41
    assert registry.get_sample_value("observability_export_queue_size", {"signal": "logs"}) == 0


@pytest.mark.parametrize("path", ["/short", "/" + "p" * 300_000], ids=["short", "long"])
def test_an_access_record_says_if_its_path_was_truncated(path: str) -> None:
    with recording() as collector:
        exporting = TelemetrySettings(logs_exporter="otlp", otlp_endpoint=collector.url)
        handler = log_export(exporting, ExportCounts(CollectorRegistry()), Resource({}))
        assert handler is not None
        handler.access(access(path))
        handler.stop(timeout_s=5)
    (body,) = collector.bodies("/v1/logs")
    (record,) = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records
    assert (attributes(record).get(LOG_TRUNCATED) is not None) == (len(path) > 100)
