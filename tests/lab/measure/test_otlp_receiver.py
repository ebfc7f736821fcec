"""Traces of one request, from a real arm and from hand-made spans."""

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from lab.analysis.result import ArmResult
from lab.arms.arms import Arm, ArmSpec, running
from lab.measure.otlp_receiver import otlp_receiver
from lab.measure.trace import MOST_SPANS, Span, TraceResult
from lab.report.waterfall import waterfall
from lab.traffic.traffic import MIXES, typical_request


def database_spans(trace: TraceResult) -> int:
    return sum(span.kind == "database" for span in trace.spans)


def span(number: int, *, parent: int | None = None, begun_ms: int = 0, ended_ms: int = 1, name: str = "work") -> Span:
    return Span(
        name=name,
        trace_id="t",
        span_id=str(number),
        parent_id="the caller's" if parent is None else str(parent),
        started_ns=begun_ms * 1_000_000,
        ended_ns=ended_ms * 1_000_000,
        kind="database" if name == "SELECT" else "work",
    )


def test_a_trace_is_its_spans_in_order_with_their_depth() -> None:
    spans = [
        span(3, parent=2, begun_ms=1002, ended_ms=1003, name="SELECT"),
        span(1, begun_ms=1000, ended_ms=1010),
        span(2, parent=1, begun_ms=1001, ended_ms=1008),
    ]
    trace = TraceResult.of(spans, request="GET /", status=200)
    assert [(each.at_s, each.depth, each.kind) for each in trace.spans] == [
        (0.0, 0, "work"),
        (0.001, 1, "work"),
        (0.002, 2, "database"),
    ]
    assert trace.duration_s == pytest.approx(0.010)
    assert trace.spans_by_name == {"work": 2, "SELECT": 1}
    assert database_spans(trace) == 1


def test_of_a_long_trace_the_first_spans_are_kept_and_all_are_counted() -> None:
    spans = [span(number, begun_ms=number, ended_ms=number + 1, name="SELECT") for number in range(MOST_SPANS + 50)]
    trace = TraceResult.of(spans, request="GET /", status=200)
    assert len(trace.spans) == MOST_SPANS
    assert trace.spans_by_name == {"SELECT": MOST_SPANS + 50}


def test_spans_that_are_each_others_parents_end() -> None:
    trace = TraceResult.of([span(1, parent=2), span(2, parent=1)], request="GET /", status=200)
    assert len(trace.spans) == 2


def test_the_waterfall_names_both_arms_and_few_spans_and_stays_small_with_many() -> None:
    few = TraceResult.of([span(1, name="board"), span(2, parent=1, name="SELECT")], request="GET /", status=200)
    many = TraceResult.of([span(n, begun_ms=n, name="SELECT") for n in range(300)], request="GET /", status=200)
    drawn = waterfall([("baseline", many), ("optimized", few)], name="test")
    assert all(text in drawn for text in ("baseline: ", "optimized: ", ">board<"))
    assert drawn.count("SELECT") == 1  # three hundred names would lie upon each other
    assert len(drawn) < 40_000


@pytest.mark.parametrize("mix", MIXES)
def test_every_mix_has_a_typical_request(mix: str) -> None:
    assert typical_request(mix, seed=1).kind == next(iter(MIXES[mix]))


def test_two_real_arms_export_the_spans_of_one_request(data_dir: Path) -> None:
    async def traced() -> list[TraceResult | None]:
        with otlp_receiver() as receiver:
            arms = [
                Arm(
                    ArmSpec(name=name, techniques=frozenset(techniques), settings=receiver.settings),
                    data_dir=data_dir,
                    token="t",
                    writes=False,
                )
                for name, techniques in (("lazy", ()), ("eager", ("eager_loading",)))
            ]
            board = "/airports/JFK/departures?date=2013-01-01"
            async with running(arms):
                async with httpx.AsyncClient() as client:
                    untraced = await client.get(f"{arms[0].url}{board}")
                    assert untraced.status_code == 200
                request = replace(typical_request("boards", seed=1), target=board)
                seen = [await receiver.trace_of(arm, request) for arm in arms]
            assert len(receiver._traces) == 2  # only these requests were traced
            return seen

    lazy, eager = asyncio.run(traced())
    assert lazy is not None
    assert eager is not None
    assert lazy.status == eager.status == 200
    assert database_spans(lazy) > 10 * database_spans(eager) > 0
    assert sum(lazy.spans_by_name.values()) > 100
    assert lazy.spans[0].depth == 0
    assert max(each.depth for each in lazy.spans) >= 1


def test_a_result_without_traces_is_read_as_before() -> None:
    old = '{"name":"A","techniques":[],"requests":1,"server_errors":0,"capacity_per_s":null,"latencies":{}}'
    assert ArmResult.model_validate_json(old).trace is None
