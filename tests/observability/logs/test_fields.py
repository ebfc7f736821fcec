"""Whatever callers log: one valid line for each record, which keeps its own fields and all of theirs."""

import io
import json
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from pydantic_core import from_json

from observability import TelemetrySettings
from observability.core.internal_errors import raise_internal_errors
from observability.export.counts import ExportCounts
from observability.logs.access_log import AccessRecord, json_line
from observability.logs.fields import MAX_DEPTH, MAX_VALUES, plain
from observability.logs.format import RESERVED, configure_structlog, formatter
from observability.logs.otlp import log_export
from tests.servers.http import recording


class Broken:
    """An object without a text."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Shifting(Mapping[str, int]):
    """A mapping that cannot be read."""

    def __getitem__(self, _: str) -> int:
        raise KeyError

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


@dataclass
class Point:
    x: int


def cycle() -> dict[str, Any]:
    around: dict[str, Any] = {"name": "a"}
    around["self"] = [around]
    return around


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def endless(levels: int) -> list[Any]:
    value: list[Any] = [1]
    for _ in range(levels):
        value = [value, value]
    return value


def parsed(line: str) -> dict[str, Any]:
    """Parse as a strict parser does: no `NaN`, no name twice, no lone surrogates, one line."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    assert "\n" not in line.removesuffix("\n")
    from_json(line, allow_inf_nan=False)
    fields: dict[str, Any] = json.loads(line, object_pairs_hook=once)
    json.dumps(fields, ensure_ascii=False).encode()
    return fields


@contextmanager
def handled(handler: logging.Handler) -> Iterator[logging.Logger]:
    logger = logging.getLogger("shop")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        with raise_internal_errors():
            yield logger
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)


@contextmanager
def lines(*, json: bool = True) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(json=json, colors=False))
    with handled(handler) as logger:
        yield logger, stream


@contextmanager
def structlog_events() -> Iterator[Any]:
    configure_structlog()
    try:
        yield structlog.get_logger("shop")
    finally:
        structlog.reset_defaults()


def exported(log: Any) -> list[LogRecord]:
    """Return what was exported over OTLP of what `log` logged with the logger."""
    with recording() as collector:
        exporting = TelemetrySettings(logs_exporter="otlp", otlp_endpoint=collector.url)
        handler = log_export(exporting, ExportCounts(CollectorRegistry()), Resource({}))
        assert handler is not None
        with handled(handler) as logger:
            log(logger)
        handler.stop(timeout_s=5)
    groups = [
        group
        for body in collector.bodies("/v1/logs")
        for group in ExportLogsServiceRequest.FromString(body).resource_logs
    ]
    return [record for group in groups for scope in group.scope_logs for record in scope.log_records]


def attributes(record: LogRecord) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "", None) for pair in record.attributes}


@pytest.mark.parametrize("name", RESERVED)
def test_a_field_with_the_name_of_one_of_the_record_gets_an_underscore(name: str) -> None:
    with lines() as (logger, stream), structlog_events() as events:
        if name != "message":  # the standard library forbids it
            logger.warning("sold out", extra={name: "mine", f"{name}_": "too"})
        events.warning("sold out", **{name: "mine", f"{name}_": "too"})
    for record in map(parsed, stream.getvalue().splitlines()):
        assert (record["message"], record["level"], record["logger"]) == ("sold out", "warning", "shop")
        assert record["timestamp"].startswith("20")
        assert (record[f"{name}_"], record[f"{name}__"]) == ("mine", "too")
        assert record.get(name) != "mine"


def test_other_names_stay() -> None:
    with lines() as (logger, stream):
        logger.warning("sold out", extra={"event": "checkout", "color_message": "red", "_private": 1, "": 2})
    assert (
        parsed(stream.getvalue()).items() >= {"event": "checkout", "color_message": "red", "_private": 1, "": 2}.items()
    )


VALUES: dict[str, tuple[Any, Any]] = {
    "nan": (float("nan"), "NaN"),
    "infinity": ([float("inf"), float("-inf")], ["Infinity", "-Infinity"]),
    "integer": (2**63 - 1, 2**63 - 1),
    "huge integer": (2**63, str(2**63)),
    "integer without decimal text": (16**5000, "0x1" + 5000 * "0"),
    "bytes": (b"a\xff", "a\\xff"),
    "memory": (memoryview(b"a"), "a"),
    "lone surrogate": ("a\udc80", "a\\udc80"),
    "line breaks": ("a\nb\u2028c", "a\nb\u2028c"),
    "set": ({1}, [1]),
    "deque": (deque([1, 2]), [1, 2]),
    "tuple": ((1, (2,)), [1, [2]]),
    "data class": (Point(1), "Point(x=1)"),
    "enumeration": (Colour.RED, "Colour.RED"),
    "integer enumeration": (Level.HIGH, 3),
    "decimal": (Decimal("1.10"), "1.10"),
    "dates": ([date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)], ["2026-01-02", "2026-01-02 00:00:00+00:00"]),
    "identifier": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "path": (Path("/a"), "/a"),
    "exception": (ValueError("no"), "ValueError('no')"),
    "class": (Point, str(Point)),
    "other names": ({1: "a", "1": "b", None: "c", (1, 2): "d", "\ud800": "e"},
                    {"1": "a", "1_": "b", "null": "c", "[1, 2]": "d", "\\ud800": "e"}),
    "cycle": (cycle(), {"name": "a", "self": ["<dict: circular reference>"]}),
    "no text": ([Broken(), 1], ["<Broken: RuntimeError when logged>", 1]),
    "name without text": ({Broken(): 1}, {"<Broken: RuntimeError when logged>": 1}),
    "mapping that fails": (Shifting(), "<Shifting: KeyError when logged>"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), VALUES.values(), ids=VALUES)
def test_a_value_is_recognisable(value: Any, expected: Any) -> None:
    with lines() as (logger, stream), structlog_events() as events:
        logger.error("sold out", extra={"value": value})
        events.error("sold out", value=value)
    for record in map(parsed, stream.getvalue().splitlines()):
        assert (record["value"], record["message"]) == (expected, "sold out")


def test_a_value_is_exported() -> None:
    records = exported(
        lambda logger: [logger.error("sold out", extra={"value": value}) for value, _ in VALUES.values()]
    )
    values = [attributes(record)["value"] for record in records]
    simple = (str, int, float)
    assert values == [
        expected if isinstance(expected, simple) else json.dumps(expected) for _, expected in VALUES.values()
    ]
    assert {record.body.string_value for record in records} == {"sold out"}


def test_exported_fields_keep_their_names_but_those_of_the_record() -> None:
    fields = {
        "level": 3,
        "event": "checkout",
        "trace_id": "mine",
        "exception.type": "mine",
        "_private": 1,
        "none": None,
    }
    (record,) = exported(lambda logger: logger.error("sold out", extra=fields, exc_info=ValueError("no")))
    own = attributes(record)
    assert own["exception.type"] == "ValueError"
    assert own["exception.type_"] == "mine"
    assert own.items() >= {"level": 3, "event": "checkout", "trace_id": "mine", "_private": 1, "none": "null"}.items()


def test_structlog_events_and_dictionaries_are_exported() -> None:
    def log(logger: logging.Logger) -> None:
        with structlog_events() as events:
            events.error("sold out", level=3, book={"number": 7}, stack_info=True)
        logger.error({"book": 7})

    event, message = exported(log)
    assert event.body.string_value == "sold out"
    assert attributes(event).items() >= {"level": 3, "book": '{"number": 7}'}.items()
    assert "test_fields.py" in attributes(event)["code.stacktrace"]
    assert message.body.string_value == "{'book': 7}"


def test_containers_are_cut_below_a_depth_and_above_a_number_of_values() -> None:
    with lines() as (logger, stream):
        for value in (nested(MAX_DEPTH), nested(100_000), endless(MAX_DEPTH - 2), [0] * (2 * MAX_VALUES)):
            logger.error("sold out", extra={"value": value, "after": 1})
    whole, deep, wide, long = map(parsed, stream.getvalue().splitlines())
    assert "<" not in str(whole)
    assert f"<list: nested deeper than {MAX_DEPTH} levels>" in str(deep["value"])
    for record in (wide, long):
        assert f"the record has more than {MAX_VALUES} values>" in str(record["value"])
    assert {record["message"] for record in (whole, deep, wide, long)} == {"sold out"}


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("%d books", ("x",), {"message": "%d books", "args": ["x"]}),
        ("%s", (Broken(),), {"message": "%s", "args": ["<Broken: RuntimeError when logged>"]}),
        ("sold out", (1, 2), {"message": "sold out", "args": [1, 2]}),
        ("%(book)s", ({"book": 7},), {"message": "7"}),
        (Broken(), (), {"message": "<Broken: RuntimeError when logged>"}),
        ({"book": 7}, (), {"message": "{'book': 7}"}),
        ("a\udc80\nb\n", (), {"message": "a\\udc80\nb"}),
    ],
)
def test_a_message_that_cannot_be_made_keeps_its_arguments(message: Any, args: Any, expected: dict[str, Any]) -> None:
    with lines() as (logger, stream), structlog_events() as events:
        logger.error(message, *args, extra={"order": 7})
        events.error(message, *args, order=7)
    for record in map(parsed, stream.getvalue().splitlines()):
        assert record.items() >= (expected | {"order": 7, "level": "error"}).items()
        assert ("args_error" in record) == ("args" in expected)


def test_an_exception_and_a_stack_are_the_records_own() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with lines() as (logger, stream), structlog_events() as events:
        for error in (ValueError("no"), Silent()):
            logger.error("sold out", exc_info=error, stack_info=True, extra={"exception": 1, "stack": 2})
            events.error("sold out", exc_info=error, stack_info=True, exception=1, stack=2)
        events.error("sold out", exc_info="not one")
    *records, last = map(parsed, stream.getvalue().splitlines())
    for record, ending in zip(records, ["ValueError: no"] * 2 + ["Silent: <exception str() failed>"] * 2, strict=True):
        assert record["exception"].endswith(ending)
        assert "test_fields.py" in record["stack"].splitlines()[-2]
        assert (record["exception_"], record["stack_"]) == (1, 2)
    assert last["exc_info"] == "not one"


def test_processors_of_the_application_may_add_level_and_logger() -> None:
    with lines() as (_, stream):
        structlog.configure(
            processors=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        try:
            structlog.get_logger("shop").error("sold out", book=7)
        finally:
            structlog.reset_defaults()
    assert list(parsed(stream.getvalue())) == ["timestamp", "level", "logger", "message", "book"]


@pytest.mark.parametrize(("value", "_"), VALUES.values(), ids=VALUES)
def test_people_read_every_value(value: Any, _: Any) -> None:
    with lines(json=False) as (logger, stream):
        logger.error("sold out", extra={"value": value, "event": "checkout", "level": 3, "a\x1b[31m": 1})
    for part in ("sold out", "event_=checkout", "level_=3", "value=", r"a\x1b[31m=1", "[error"):
        assert part in stream.getvalue()


def test_the_access_log_has_text_only() -> None:
    access = AccessRecord(1.0, "G\udc80", "/\udc80\n", "/", 200, 0.1, 0, 0, "\udc80", 1, 2, "")
    record = parsed(json_line(access))
    assert (record["method"], record["path"], record["client"]) == ("G\\udc80", "/\\udc80\n", "\\udc80")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary()
SURROGATES = st.text(st.characters(categories=["Cs", "Cc", "L"]))
THINGS = (
    st.builds(Broken)
    | st.builds(pow, st.just(10), st.integers(0, 5000))
    | st.sampled_from([Point(1), Colour.RED, Shifting(), cycle(), {1, "1"}, ValueError("\udc80")])
)
KEYS = st.text(st.characters()) | SURROGATES | st.integers() | st.none() | st.booleans() | st.sampled_from(RESERVED)
ANYTHING = st.recursive(
    SCALARS | SURROGATES | THINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4) | st.tuples(inner),
    max_leaves=20,
)
NOT_OF_LOGGING = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
NAMES = KEYS.filter(lambda name: name not in NOT_OF_LOGGING)


@settings(max_examples=200, deadline=None)
@given(message=st.text(st.characters()) | SURROGATES, fields=st.dictionaries(NAMES, ANYTHING, max_size=6))
def test_every_record_is_one_line_that_keeps_all(message: str, fields: dict[Any, Any]) -> None:
    with lines() as (logger, stream), structlog_events() as events:
        logger.error("%s", message, extra=fields)
        named = {name: value for name, value in fields.items() if isinstance(name, str) and name != "exc_info"}
        if not named.keys() & {"event", "self", "stack_info", "positional_args"}:
            events.error(message, **named)
    for number, record in enumerate(map(parsed, stream.getvalue().splitlines())):
        given_fields = named if number else fields
        assert record["message"] == plain(message).rstrip("\n")
        assert (record["level"], record["logger"]) == ("error", "shop")
        assert len(record) == 4 + len(given_fields)
        rest = [record[name] for name in list(record)[4:]]
        assert rest == [plain(value) for value in given_fields.values()]
        for name, given_name in zip(list(record)[4:], given_fields, strict=True):
            text = plain(given_name)
            assert name.rstrip("_") == (text if isinstance(text, str) else json.dumps(text)).rstrip("_")
