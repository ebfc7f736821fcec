"""Comparisons of running services whose result is known."""

import asyncio
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lab.analysis.condition import Condition
from lab.analysis.result import ExperimentResult, LabResult
from lab.compare import RemoteService, compare
from lab.core.errors import LabError
from lab.core.servers import Servers
from lab.core.snapshot import Snapshot
from lab.load.generator import LoadCommand
from lab.load.recording import Recording
from lab.load.testing import ReceivedRequest, StubResponse, stub_service
from lab.measure.metric import ArmRound
from lab.measure.plan import Plan
from lab.report.report import html
from lab.report.table import markdown
from lab.run import RunOptions
from lab.workload.workload import Workload


def metrics_of(page: bytes, *, status: int = 200) -> Snapshot:
    """Return the metrics of a service with this metrics page."""

    async def handler(_: ReceivedRequest) -> StubResponse:
        return StubResponse(status=status, body=page)

    async def read() -> Snapshot:
        async with stub_service(handler) as url:
            return await RemoteService(name="A", url=url, metrics_url=f"{url}/metrics").snapshot()

    return asyncio.run(read())


def test_the_metrics_of_a_service_are_read_from_their_url() -> None:
    assert metrics_of(b"process_cpu_seconds_total 1.5\n").total("process_cpu_seconds_total") == 1.5


@pytest.mark.parametrize(
    ("page", "status", "complaint"),
    [(b"<!doctype html><p>documentation", 200, "not in the Prometheus text format"), (b"", 404, "404")],
    ids=["an HTML page", "no page"],
)
def test_a_page_without_metrics_is_rejected_with_its_url(page: bytes, status: int, complaint: str) -> None:
    with pytest.raises(LabError, match=rf"no metrics at http://127\.0\.0\.1:\d+/metrics: .*{complaint}"):
        metrics_of(page, status=status)


LOGIN = {"path": "/login", "json": {"user": "{user}", "password": "${SHOP_PASSWORD}"}, "token": "access_token"}
SHOP = {
    "clients": 4,
    "values": {"user": ["ann", "bob"], "item": [1, 2, 3]},
    "headers": {"Authorization": "Bearer {token}"},
    "login": LOGIN,
    "requests": [
        {"name": "search", "path": "/search?q={item}", "weight": 3},
        {"name": "order", "method": "POST", "path": "/orders", "json": {"item": "{item}"}, "expect": 201},
    ],
}
PLAN = Plan(open_loop_s=0.4, closed_loop_s=0, min_rounds=4, max_rounds=4, rate_per_s=20, warm_up_s=1)
BUSY = replace(PLAN, tolerated_lateness_s=10.0)
"""The tests' machine may be."""


class NullProgress:
    def status(self, text: str) -> None:
        """Show nothing."""

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:
        """Show nothing."""


class Simulated:
    """Stands in for the generator: latencies around 100 ms, times a factor for B, and 2 % of noise."""

    def __init__(self, times: float) -> None:
        self.times = times
        self.random = np.random.default_rng(1)

    async def __aenter__(self) -> "Simulated":
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Nothing to end."""

    async def drive(self, command: LoadCommand) -> Recording:
        recording = Recording(duration_s=1.0)
        seconds = 0.1 * np.exp(0.5 * np.random.default_rng(command.stream).normal(size=60))
        noisy = seconds * np.exp(0.02 * self.random.normal(size=60)) * (self.times if command.arm == "B" else 1.0)
        for latency in noisy:
            recording.latencies["search"].record(float(latency))
            recording.count("search", status=200, received_bytes=100, error="")
        return recording


async def compared(first: str, second: str, *conditions: str, plan: Plan = BUSY) -> LabResult:
    workload = Workload.model_validate(SHOP)
    options = RunOptions(data_dir=Path(), command="flightdeck lab compare", plan=plan, servers=Servers({}))
    return await compare(
        RemoteService(name="A", url=first),
        RemoteService(name="B", url=second),
        workload,
        options,
        NullProgress(),
        conditions=[Condition.parsed(text, workload.kinds) for text in conditions],
    )


def simulated(monkeypatch: pytest.MonkeyPatch, times: float, *conditions: str) -> ExperimentResult:
    """Return the comparison with a service whose latencies are this many times those of the first."""
    monkeypatch.setattr("lab.run.Generator", lambda _: Simulated(times))
    plan = replace(PLAN, min_rounds=8, max_rounds=8)
    return found(asyncio.run(compared("http://127.0.0.1:1", "http://127.0.0.1:2", *conditions, plan=plan)))


def found(result: LabResult) -> ExperimentResult:
    assert result.skipped == {}
    return result.techniques["comparison"]


def test_a_service_that_is_a_tenth_slower_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = simulated(monkeypatch, 1.10, "typical_s > 1.05", "typical_s > 1.2", "error_share > 1.1")
    low, high = comparison.metrics["typical_s"].interval or (0.0, 0.0)
    assert comparison.verdict == "hurts"
    assert high is not None
    assert low <= 1 / 1.10 <= high
    assert comparison.is_valid
    assert [condition.outcome for condition in comparison.conditions] == ["holds", "does not hold", "undecided"]


def test_two_equal_services_show_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = simulated(monkeypatch, 1.0, "p50_s > 1.05")
    assert {metric.verdict for metric in comparison.metrics.values()} == {"no difference seen"}
    assert comparison.headline == "p50_s"
    assert [condition.outcome for condition in comparison.conditions] == ["does not hold"]


async def handle(request: ReceivedRequest, *, is_failing: bool) -> StubResponse:
    """Respond as a shop with a login and orders."""
    if request.target == "/login":
        sent = json.loads(request.body)
        body = json.dumps({"access_token": f"token of {sent['user']}"}).encode()
        return StubResponse(status=200 if sent["password"] == "open sesame" else 401, body=body)
    if not request.headers.get("authorization", "").startswith("Bearer token of "):
        return StubResponse(status=401)
    if is_failing and request.target.endswith("=2"):
        return StubResponse(status=503)
    return StubResponse(status=201 if request.method == "POST" else 200)


@pytest.fixture(scope="module")
def failing() -> LabResult:
    """Compare with a service that fails a third of the searches."""

    async def run() -> LabResult:
        async with (
            stub_service(partial(handle, is_failing=False)) as one,
            stub_service(partial(handle, is_failing=True)) as other,
        ):
            return await compared(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_PASSWORD", "open sesame")
        return asyncio.run(run())


def test_a_service_that_fails_is_no_faster_one(failing: LabResult) -> None:
    comparison = found(failing)
    assert not comparison.is_valid
    assert {metric.verdict for metric in comparison.metrics.values()} == {"no difference seen"}
    assert comparison.on.unexpected.keys() == {"search: 503"}
    assert comparison.off.unexpected == {}
    assert any("Not valid: B responded" in note and "mostly search: 503" in note for note in comparison.notes)


def test_the_result_says_what_was_sent_without_secrets(failing: LabResult) -> None:
    search, order = found(failing).sent
    assert (search.request, search.share, search.expect) == ("GET /search?q={item}", 0.75, ["2xx"])
    assert (order.request, order.expect) == ("POST /orders, body: json", ["201"])
    assert search.off > order.off > 0
    assert search.unexpected_on.keys() == {"503"}
    assert search.unexpected_off == {}
    page, table = html(failing), markdown(failing)
    for text in (failing.model_dump_json(), page, table):
        assert "open sesame" not in text
        assert "token of" not in text
    assert "What was sent" in page
    assert "| search: GET /search?q={item} | 75.0 % | 2xx |" in table


def test_a_service_whose_every_response_is_unexpected_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(request: ReceivedRequest) -> StubResponse:
        return StubResponse(status=200 if request.target == "/login" else 500, body=b'{"access_token": "t"}')

    async def run() -> LabResult:
        async with stub_service(handler) as url:
            return await compared(url, url)

    monkeypatch.setenv("SHOP_PASSWORD", "open sesame")
    result = asyncio.run(run())
    assert result.techniques == {}
    assert "A does not respond as expected" in result.skipped["comparison"]
