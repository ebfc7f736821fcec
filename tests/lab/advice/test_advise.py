"""Verdicts, intervals, overlaps, and how the advice is shown."""

import json
from io import StringIO
from operator import attrgetter
from pathlib import Path

import httpx
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.advice import caching
from lab.advice.advise import advise
from lab.advice.methods import METHODS, Method
from lab.advice.report import html
from lab.advice.result import Advice, Prediction
from lab.advice.source import queried
from lab.advice.table import markdown, print_advice
from lab.advice.window import Sample, Window, increases
from lab.core.duration import duration_s
from lab.core.errors import BadSetting, LabError
from service.techniques import NAMES
from tests.lab.advice.counters import HANDLER, cache, of_route, series, traffic, window

ROOT = Path(__file__).parents[3]


def advice_of(*slices: dict[str, float]) -> Advice:
    return advise(window(*slices), source="test")


def predicted(advice: Advice, technique: str) -> Prediction:
    return next(one for one in advice.predictions if one.technique == technique)


def cached(hits: float = 900) -> dict[str, float]:
    return traffic() | cache("response", hits=hits, seconds=0.1)


def test_every_technique_of_the_catalogue_has_a_method_and_a_place_in_the_service() -> None:
    assert sorted(method.technique for method in METHODS) == sorted(NAMES)
    assert all((ROOT / method.service).exists() for method in METHODS)


def test_too_little_traffic_gives_no_prediction() -> None:
    advice = advice_of(traffic(5) | cache("response", hits=4, of=5, seconds=0.1))
    assert {one.verdict for one in advice.predictions} == {"too little traffic", "not observable"}
    assert all(one.effect is None for one in advice.predictions)
    assert advice.conclusion.startswith("Too little traffic")


def test_a_service_with_nothing_to_gain_gets_that_result() -> None:
    counters = traffic(mean_s=0.001) | cache("response", hits=0, seconds=0.001)
    advice = advice_of(counters | {of_route("db_queries_per_request_sum"): 1000.0})
    assert not advice.helping
    assert advice.conclusion.startswith("Nothing to gain")


def test_without_what_if_metrics_nothing_is_observed() -> None:
    advice = advice_of({"process_cpu_seconds_total": 1.0})
    assert {one.verdict for one in advice.predictions} == {"not observed", "not observable"}


def test_noise_between_the_slices_widens_the_interval() -> None:
    steady = predicted(advice_of(cached(500)), "response_cache")
    noisy = predicted(advice_of(cached(100), cached(900)), "response_cache")
    assert steady.verdict == noisy.verdict == "helps"
    assert steady.interval is not None
    assert noisy.interval is not None
    assert noisy.effect is not None
    assert noisy.interval[1] is not None
    assert steady.interval[0] == pytest.approx(steady.interval[1])
    assert noisy.interval[0] < noisy.effect < noisy.interval[1]


def test_a_technique_that_leaves_nothing_is_at_least_a_third_of_what_was_seen() -> None:
    queries = {"whatif_transaction_queries_total{access=read}": 300.0}
    found = predicted(advice_of(traffic() | queries), "read_replicas")
    assert (found.verdict, found.effect, found.interval) == ("helps", None, (1000.0, None))


def test_one_slice_has_no_interval_and_so_no_verdict() -> None:
    advice = advise(window(cached(), repeat=1), source="test")
    assert predicted(advice, "response_cache").verdict == "too little traffic"


def test_what_a_cache_leaves_of_eager_loading() -> None:
    counters = traffic() | cache("response", hits=990, seconds=0.1, queries=101.0)
    counters |= {
        of_route("db_queries_per_request_sum"): 1000 * 101.0,
        of_route("whatif_repeated_queries_total"): 1000 * 99.0,
        of_route("db_queries_per_request_sum", handler="/other"): 1000 * 2.0,
    }
    found = predicted(advice_of(counters), "eager_loading")
    assert found.effect == pytest.approx(103 / 4)
    assert found.after_caching == pytest.approx((1.01 + 2) / (0.02 + 2), rel=0.01)


BEHIND_CACHE = [method for method in METHODS if method.after_caching is not None]


@pytest.mark.parametrize("method", BEHIND_CACHE, ids=attrgetter("technique"))
def test_what_a_cache_leaves_is_computed_from_work_that_the_cache_saves(method: Method) -> None:
    read: set[str] = set()

    class Read(Sample):
        """Reports which counters an estimate reads, and has some of each."""

        def has(self, _: str) -> bool:
            return True

        def total(self, name: str, **_: str) -> float:
            read.add(name)
            return 1.0

        def by(self, name: str, *_: str, **__: str) -> dict[str, float]:
            read.add(name)
            return {HANDLER: 1.0}

    assert method.estimate is not None
    method.estimate(Read({}, np.zeros(0), 1.0))
    assert read & {*caching.WORK_OF_ROUTES, *caching.WORK_OF_POOLS}


def test_where_a_cache_leaves_an_unknown_part_the_advice_says_so() -> None:
    name = "http_client_{}_duration_seconds_{}"
    counters = traffic() | {
        name.format("connect", "count"): 1000.0,
        name.format("request", "count"): 1000.0,
        name.format("request", "sum"): 25.0,
    }
    found = predicted(advice_of(counters), "connection_reuse")
    assert (found.verdict, found.after_caching) == ("helps", None)
    assert "what a response cache would leave of them is not known" in found.notes[-1]


def test_a_restart_resets_a_counter() -> None:
    key = series("requests{a=b}")
    assert increases({key: 10.0}, {key: 4.0}) == {key: 4.0}
    assert increases({}, {key: 4.0}) == {key: 4.0}
    assert increases({key: 4.0}, {key: 10.0}) == {key: 6.0}


def test_the_advice_is_shown_as_table_markdown_and_report() -> None:
    advice = advice_of(cached())
    console = Console(width=80, record=True, file=StringIO())
    print_advice(advice, console)
    printed = console.export_text()
    assert "…" not in printed, "every cell fits the width of a terminal"
    for text in (printed, markdown(advice), html(advice)):
        assert "Shared response cache" in text
        assert HANDLER in text
    page = html(advice)
    assert "<script" not in page
    assert "http://" not in page
    assert Advice.model_validate_json(advice.model_dump_json()) == advice


def test_the_published_schema_is_that_of_the_advice() -> None:
    published = json.loads((ROOT / "docs" / "advice.schema.json").read_text())
    assert published == Advice.model_json_schema()
    assert json.loads(CliRunner().invoke(app, ["advise", "--schema"]).stdout) == published


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("7d", 604_800), ("0.5ms", 0.0005)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text, option="--for") == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "0s", "10 minutes", "inf", "1e3s"])
def test_a_bad_duration_is_rejected_by_option(text: str) -> None:
    with pytest.raises(BadSetting, match="--for"):
        duration_s(text, option="--for")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either"),
        (["http://127.0.0.1:1/metrics", "--prometheus", "http://127.0.0.1:1"], "give either"),
        (["http://127.0.0.1:1/metrics"], "no metrics at"),
        (["http://127.0.0.1:1/metrics", "--for", "soon"], "--for"),
        (["--prometheus", "http://127.0.0.1:1"], "no metrics from Prometheus"),
        (["--prometheus", "http://127.0.0.1:1", "--window", "soon"], "--window"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["advise", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def prometheus(document: object, status: int = 200) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(status, json=document)))


async def read(document: object, status: int = 200) -> Window:
    async with prometheus(document, status) as client:
        return await queried("http://prometheus", seconds=100, job="shop", now=1000.0, client=client, slices=4)


@pytest.mark.anyio
async def test_processes_of_a_prometheus_job_are_added_up_and_their_restarts_are_no_decrease() -> None:
    name = "whatif_requests_total"
    values = {"a": [0, 10, 20, 5, 15], "b": [100, 110, 120, 130, 140]}
    found = [
        {
            "metric": {"__name__": name, "handler": "/x", "job": "shop", "instance": instance},
            "values": [[900 + 25 * at, str(value)] for at, value in enumerate(each)],
        }
        for instance, each in values.items()
    ]
    observed = (await read({"status": "success", "data": {"result": found}})).whole()
    assert observed.total(name, handler="/x") == (10 + 10 + 5 + 10) + 40
    assert observed.seconds == 100


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"status": "success", "data": {"result": []}}, "has no what-if metrics of the job 'shop'"),
        ({"status": "error", "error": "query too long", "data": {"result": []}}, "rejected the query: query too long"),
        ({"status": "error", "error": "query too long"}, "rejected the query: query too long"),
        (["not", "Prometheus"], "no metrics from Prometheus"),
        ({}, "no metrics from Prometheus"),
    ],
)
async def test_a_prometheus_without_them_gets_a_clear_error(document: object, message: str) -> None:
    with pytest.raises(LabError, match=message):
        await read(document)


@pytest.mark.parametrize(("connects", "verdict"), [(1000.0, "helps"), (5.0, "no difference"), (0.0, "no difference")])
def test_a_pool_that_is_in_place_has_nothing_to_gain(connects: float, verdict: str) -> None:
    counters = traffic() | {
        "db_client_connection_create_time_seconds_count": connects,
        "db_client_connection_use_time_seconds_count": 1000.0,
        "db_client_connection_use_time_seconds_sum": 5.0,
    }
    found = predicted(advice_of(counters), "pooling")
    assert found.verdict == verdict
    if verdict == "helps":
        assert found.interval is not None
        assert found.interval[1] is None, "connections that are open stay open"
