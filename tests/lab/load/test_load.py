"""The load generator against services whose behaviour is known."""

import asyncio
import time
from collections.abc import Iterator
from itertools import count, pairwise
from statistics import stdev

import pytest

from lab.core.address import Address
from lab.load.client_state import ClientState
from lab.load.load import Driver, drive
from lab.load.load_model import ClosedLoop, LoadModel, OpenLoop, Phase
from lab.load.recording import Recording
from lab.load.testing import Handler, ReceivedRequest, StubResponse, stub_service
from lab.traffic.traffic import Client, Request

CLIENT = Client(number=1, accept_encoding="gzip", has_cache=False, link_bytes_per_s=None)


def requests_to(target: str = "/", *, client: Client = CLIENT, method: str = "GET") -> Iterator[Request]:
    """Return the same request for ever."""
    while True:
        yield Request("page", method, target, client)


def load(handler: Handler, model: LoadModel, phase: Phase, *, requests: Iterator[Request] | None = None) -> Recording:
    """Return what driving the handler recorded."""

    async def run() -> Recording:
        async with stub_service(handler) as url:
            return await drive(Address.of(url), requests or requests_to(), model, phase, state=ClientState())

    return asyncio.run(run())


def delayed(seconds: float) -> Handler:
    async def handler(_: ReceivedRequest) -> StubResponse:
        await asyncio.sleep(seconds)
        return StubResponse()

    return handler


def pausing(*, every_s: float, pause_s: float) -> Handler:
    """Respond in 2 ms, but pause at fixed intervals."""
    begun = time.monotonic()

    async def handler(_: ReceivedRequest) -> StubResponse:
        into = (time.monotonic() - begun) % every_s
        await asyncio.sleep(pause_s - into if into < pause_s else 0.002)
        return StubResponse()

    return handler


def test_an_open_loop_sends_at_its_rate_and_measures_the_services_latency() -> None:
    # A busy machine that stops for two seconds delays what was due in them: less than half of the requests.
    recording = load(delayed(0.02), OpenLoop(rate_per_s=40, arrivals="constant"), Phase(duration_s=5.0))
    assert recording.requests == pytest.approx(200, abs=1)
    assert 0.02 <= (recording.overall().quantile(0.5) or 0) < 0.06
    assert recording.statuses == {200: recording.requests}


def test_a_pause_every_ten_seconds_shows_in_the_open_loops_p99_and_not_in_the_closed_loops() -> None:
    phase = Phase(duration_s=20.0)

    async def run() -> tuple[Recording, Recording]:
        """Drive two services of their own at the same time: each stops for 200 ms, twice in the twenty seconds."""
        async with (
            stub_service(pausing(every_s=10.0, pause_s=0.2)) as one,
            stub_service(pausing(every_s=10.0, pause_s=0.2)) as other,
        ):
            opened, closed = (
                drive(Address.of(one), requests_to(), OpenLoop(rate_per_s=100), phase, state=ClientState()),
                drive(Address.of(other), requests_to(), ClosedLoop(clients=1), phase, state=ClientState()),
            )
            both = await asyncio.gather(opened, closed)
            return both[0], both[1]

    opened, closed = asyncio.run(run())
    # Pauses are 2 % of the time, so 2 % of requests at random times wait, at most for a whole pause. A closed loop
    # meets each pause once, among thousands of fast responses.
    assert (opened.overall().quantile(0.99) or 0) > 0.05
    assert (opened.overall().quantile(0.999) or 0) > 0.15
    assert (closed.overall().quantile(0.99) or 0) < 0.05
    assert (closed.overall().quantile(1.0) or 0) > 0.15


def test_poisson_arrivals_are_the_same_for_the_same_seed_irregular_and_as_many_as_the_rate_says() -> None:
    def due(seed: int) -> list[float]:
        return list(OpenLoop(rate_per_s=50).arrivals_within(40, seed))

    assert due(1) == due(1) != due(2)
    assert len(due(1)) == 2000
    gaps = [later - earlier for earlier, later in pairwise(due(1))]
    assert min(gaps) >= 0
    # The gaps of a Poisson process are exponential: as wide as their mean, and one in e of them longer than it.
    assert stdev(gaps) == pytest.approx(1 / 50, rel=0.1)
    assert sum(gap > 1 / 50 for gap in gaps) / len(gaps) == pytest.approx(1 / 2.718, abs=0.03)


def test_an_open_loop_that_is_held_up_sends_all_that_was_due_before_it_ends() -> None:
    def arrivals() -> Iterator[float]:
        yield 0.05
        time.sleep(0.3)  # beyond the end: the time that the loop knows is old now, and the next timer late
        yield 0.19

    async def run() -> Recording:
        async with stub_service(delayed(0)) as url:
            driver = Driver(Address.of(url), requests_to(), Phase(duration_s=0.2), ClientState())
            await driver.run_open(arrivals())
            await driver.close()
            return driver.recording

    recording = asyncio.run(run())
    assert recording.responses["page"] == 2
    assert not recording.failures


@pytest.mark.parametrize("model", [OpenLoop(rate_per_s=500), ClosedLoop(clients=8)], ids=["open", "closed"])
def test_nothing_is_sent_after_a_stretch(model: LoadModel) -> None:
    """Not even the requests whose connections the driver closes: the next phase would count them."""
    calls = count()
    received: list[str] = []
    is_over = asyncio.Event()

    async def respond_to_the_first(request: ReceivedRequest) -> StubResponse:
        received.append(request.target)
        if next(calls) >= 40:
            await is_over.wait()
        return StubResponse()

    async def run() -> list[int]:
        async with stub_service(respond_to_the_first) as url:
            phase = Phase(duration_s=0.2, drain_s=0.1)
            await drive(Address.of(url), requests_to(), model, phase, state=ClientState())
            before = len(received)
            await asyncio.sleep(0.2)
            is_over.set()
            return [before, len(received)]

    before, after = asyncio.run(run())
    assert after == before > 40


def test_a_closed_loop_finds_the_throughput() -> None:
    recording = load(delayed(0.01), ClosedLoop(clients=4), Phase(duration_s=1.0))
    assert 100 < recording.throughput_per_s <= 4 / 0.01
    assert recording.connections == 4


def test_a_closed_loop_shorter_than_a_response_still_measures_the_throughput() -> None:
    recording = load(delayed(0.4), ClosedLoop(clients=4), Phase(duration_s=0.2))
    assert recording.responses["page"] == 4
    assert 5 < recording.throughput_per_s <= 10


def test_a_closed_loop_with_a_list_ends_when_all_of_it_is_complete() -> None:
    recording = load(delayed(0.02), ClosedLoop(clients=4, requests=22), Phase(duration_s=5.0))
    assert (recording.responses["page"], recording.requests) == (22, 22)
    assert 6 * 0.02 <= recording.busy_s < 1.0
    assert recording.throughput_per_s == pytest.approx(22 / recording.busy_s)


def test_a_request_whose_response_the_client_has_is_not_sent_and_counts_as_needed() -> None:
    async def fresh(_: ReceivedRequest) -> StubResponse:
        return StubResponse(headers={"cache-control": "max-age=60"})

    browser = Client(number=1, accept_encoding="gzip", has_cache=True, link_bytes_per_s=None)
    model = ClosedLoop(clients=1, requests=30)
    recording = load(fresh, model, Phase(duration_s=5.0), requests=requests_to(client=browser))
    assert (recording.responses["page"], recording.not_needed["page"], recording.needed) == (1, 29, 30)


def test_hits_and_misses_are_counted_by_their_cache_status() -> None:
    calls = count()

    async def cached(_: ReceivedRequest) -> StubResponse:
        status = "flightdeck; fwd=uri-miss; stored" if next(calls) % 3 == 0 else "flightdeck; hit; ttl=9"
        return StubResponse(headers={"cache-status": status})

    recording = load(cached, ClosedLoop(clients=1, requests=30), Phase(duration_s=5.0))
    assert (len(recording.hits), len(recording.misses)) == (20, 10)


def test_a_service_that_cannot_keep_up_is_recognised_as_saturated() -> None:
    lock_of: dict[int, asyncio.Lock] = {}

    async def one_at_a_time(_: ReceivedRequest) -> StubResponse:
        lock = lock_of.setdefault(id(asyncio.get_running_loop()), asyncio.Lock())
        async with lock:
            await asyncio.sleep(0.02)
        return StubResponse()

    recording = load(one_at_a_time, OpenLoop(rate_per_s=100), Phase(duration_s=1.0, drain_s=0.3))
    assert recording.is_saturated
    assert recording.failures["no response in time"] > 0
    assert (recording.overall().quantile(0.99) or 0) > 0.4  # what never came counts with the time it was waited for


def test_the_warm_up_is_driven_and_not_recorded() -> None:
    calls = count()

    async def failing_at_first(_: ReceivedRequest) -> StubResponse:
        return StubResponse(status=503 if next(calls) < 20 else 200)

    model = OpenLoop(rate_per_s=100, arrivals="constant")
    recording = load(failing_at_first, model, Phase(duration_s=0.5, warm_up_s=0.5))
    assert recording.requests == pytest.approx(50, abs=1)
    assert next(calls) > 90
    assert recording.statuses == {200: recording.requests}


def test_a_generator_that_is_held_up_records_how_late_it_was() -> None:
    async def holding_up_its_own_loop(_: ReceivedRequest) -> StubResponse:
        time.sleep(0.02)  # noqa: ASYNC251 the service shares the generator's loop, which is thus held up
        return StubResponse()

    recording = load(holding_up_its_own_loop, OpenLoop(rate_per_s=40), Phase(duration_s=1.0))
    assert (recording.lateness.quantile(0.9) or 0) > 0.01


def test_lateness_that_does_not_show_in_the_latencies_is_no_lateness() -> None:
    recording = Recording(duration_s=1.0)
    for _ in range(100):
        recording.lateness.record(0.006)
        recording.latencies["page"].record(0.2)
    assert not recording.is_late()
    for _ in range(100):
        recording.lateness.record(0.08)
    assert recording.is_late()
    assert not recording.is_late(tolerated_s=0.1)


def test_a_few_requests_under_way_at_the_end_are_no_saturation() -> None:
    recording = Recording(duration_s=1.0, backlog=7)
    recording.responses["page"] = 12
    assert not recording.is_saturated
    recording.backlog = 8
    assert recording.is_saturated


def test_bytes_are_counted_on_the_wire_with_their_headers() -> None:
    async def a_kilobyte(_: ReceivedRequest) -> StubResponse:
        return StubResponse(body=b"x" * 1000)

    recording = load(a_kilobyte, OpenLoop(rate_per_s=50, arrivals="constant"), Phase(duration_s=0.4))
    assert (
        recording.received_bytes["page"] / recording.responses["page"]
        == len(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n") + 1000
    )


def test_a_client_on_a_slow_link_waits_for_the_bytes_and_is_counted_apart() -> None:
    async def fifty_kilobytes(_: ReceivedRequest) -> StubResponse:
        return StubResponse(body=b"x" * 50_000)

    slow = Client(number=2, accept_encoding="", has_cache=False, link_bytes_per_s=250_000)
    model = OpenLoop(rate_per_s=10, arrivals="constant")
    recording = load(fifty_kilobytes, model, Phase(duration_s=0.5), requests=requests_to(client=slow))
    assert recording.slow_link.quantile(0.5) == pytest.approx(0.2, abs=0.05)
    assert not recording.latencies


def test_a_closed_loop_at_an_address_without_a_server_counts_failures_and_ends() -> None:
    async def run() -> Recording:
        async with stub_service(delayed(0)) as url:
            address = Address.of(url)
        return await drive(address, requests_to(), ClosedLoop(clients=2), Phase(duration_s=0.3), state=ClientState())

    recording = asyncio.run(run())
    assert 0 < recording.failures["no connection: ConnectionRefusedError"] < 50
    assert len(recording.overall()) == 0
    assert recording.throughput_per_s == 0


def test_a_connection_that_the_service_closed_while_idle_is_replaced_without_a_failure() -> None:
    async def run() -> Recording:
        async with stub_service(delayed(0), hangs_up=True) as url:
            model = OpenLoop(rate_per_s=300)
            return await drive(Address.of(url), requests_to(), model, Phase(duration_s=0.5), state=ClientState())

    recording = asyncio.run(run())
    assert recording.failures.total() == 0
    assert recording.responses["page"] > 100


def test_a_recording_survives_json() -> None:
    recording = load(delayed(0.001), OpenLoop(rate_per_s=100), Phase(duration_s=0.3))
    again = Recording.from_json(recording.to_json())
    assert again.to_json() == recording.to_json()
    assert again.overall().quantile(0.5) == recording.overall().quantile(0.5)


def test_recordings_add_up() -> None:
    one = load(delayed(0.001), OpenLoop(rate_per_s=100), Phase(duration_s=0.3))
    requests = one.requests
    one.add(Recording.from_json(one.to_json()))
    assert (one.requests, one.duration_s) == (2 * requests, 0.6)
    assert len(one.overall()) == 2 * requests


@pytest.mark.parametrize("url", ["ftp://example.test", "localhost:8000", "http://", "http://h/?q=1"])
def test_an_address_that_cannot_be_driven_is_rejected_with_an_example(url: str) -> None:
    with pytest.raises(Exception, match=r"it looks like http://127\.0\.0\.1:8000"):
        Address.of(url)
