"""Several generators send what one would, in parts, and what they recorded is one recording."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice

import pytest

from lab.core.command import MODULE
from lab.core.errors import LabError
from lab.load import sharing
from lab.load.generator import Generator, LoadCommand
from lab.load.load_model import ClosedLoop, LoadModel, OpenLoop, Phase
from lab.load.recording import Recording
from lab.load.sharing import merged, on_workers, shares
from lab.load.testing import Handler, ReceivedRequest, StubResponse, stub_service
from tests.servers.port import free_port


def command(model: LoadModel, *, url: str = "http://127.0.0.1:1", arm: str = "A") -> LoadCommand:
    return LoadCommand(arm=arm, url=url, model=model, phase=Phase(duration_s=0.5), stream=7, mix="boards")


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        (OpenLoop(rate_per_s=90), [OpenLoop(rate_per_s=30)] * 3),
        (
            ClosedLoop(clients=4, requests=100),
            [ClosedLoop(clients=2, requests=34), *[ClosedLoop(clients=1, requests=33)] * 2],
        ),
        (ClosedLoop(clients=1), [ClosedLoop(clients=1)] * 3),
    ],
    ids=["open loop", "closed loop", "one client"],
)
def test_workers_share_the_load_and_none_sends_the_requests_of_another(
    model: LoadModel, parts: list[LoadModel]
) -> None:
    shared = shares(command(model), 3)
    assert [share.model for share in shared] == parts
    assert len({share.stream for share in shared}) == 3
    assert shared == shares(command(model), 3)


def recorded(*, latency_s: float, lateness_s: float, duration_s: float = 1.0) -> Recording:
    recording = Recording(duration_s=duration_s, busy_s=duration_s, backlog=2, connections=3)
    for _ in range(10):
        recording.count("board", status=200, received_bytes=100, error="")
        recording.latencies["board"].record(latency_s)
        recording.lateness.record(lateness_s)
    return recording


def test_recordings_of_the_same_time_are_merged() -> None:
    both = merged([recorded(latency_s=0.1, lateness_s=0.0), recorded(latency_s=0.3, lateness_s=0.0, duration_s=1.5)])
    assert (both.requests, both.duration_s, both.busy_s, both.backlog, both.connections) == (20, 1.5, 1.5, 4, 6)
    assert both.throughput_per_s == pytest.approx(20 / 1.5)
    assert both.overall().quantile(0.5) == pytest.approx(0.1, rel=0.01)
    assert both.overall().quantile(1.0) == pytest.approx(0.3, rel=0.01)


def test_one_late_worker_of_many_makes_the_recording_late() -> None:
    on_schedule = [recorded(latency_s=0.1, lateness_s=0.0) for _ in range(30)]
    assert not merged(on_schedule).is_late()
    assert merged([*on_schedule, recorded(latency_s=0.1, lateness_s=0.2)]).is_late()


def test_without_locust_there_are_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "find_spec", lambda _: None)
    with pytest.raises(LabError, match="pip install locust"):
        on_workers("master", "127.0.0.1:5557", "2")


def recording_handler(received: list[str]) -> Handler:
    async def handler(request: ReceivedRequest) -> StubResponse:
        received.append(request.target)
        return StubResponse()

    return handler


@asynccontextmanager
async def running_worker(address: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*MODULE, *on_workers("worker", address))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_two_workers_send_both_arms_the_same_requests_and_a_lost_one_is_an_error() -> None:
    address = f"127.0.0.1:{free_port()}"
    received: dict[str, list[str]] = {"A": [], "B": []}
    model = OpenLoop(rate_per_s=80)
    async with AsyncExitStack() as stack:
        urls = {arm: await stack.enter_async_context(stub_service(recording_handler(received[arm]))) for arm in "AB"}
        generator = await stack.enter_async_context(Generator(on_workers("master", address, "2")))
        workers = [await stack.enter_async_context(running_worker(address)) for _ in range(2)]
        recordings = [await generator.drive(command(model, url=url, arm=arm)) for arm, url in urls.items()]
        workers[0].kill()
        with pytest.raises(LabError, match="lost the generator"):
            await generator.drive(command(model, url=urls["A"]))
    listed = Counter(request.target for share in shares(command(model), 2) for request in islice(share.requests(), 20))
    assert [recording.requests for recording in recordings] == [40, 40]
    assert Counter(received["A"][:40]) == Counter(received["B"]) == listed


async def test_workers_that_do_not_join_are_an_error() -> None:
    module = on_workers("master", f"127.0.0.1:{free_port()}", "3", "0")
    async with Generator(module) as generator:
        with pytest.raises(LabError, match="0 of 3 generators joined"):
            await generator.drive(command(OpenLoop(rate_per_s=1)))
