"""The staleness of responses, and the TTL it recommends."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from lab.analysis.staleness import StalenessStats, VersionLog
from lab.load.testing import ReceivedRequest, StubResponse, stub_service
from lab.sweeps.board_traffic import Board, BoardTraffic, ReadStats
from lab.sweeps.ttl import INVALIDATED, TTL_ONLY, recommended, sweep_result
from lab.sweeps.ttl_curves import TtlPoint


def test_the_age_of_a_response_counts_from_the_first_write_that_it_lacks() -> None:
    log = VersionLog()
    log.acknowledge(2, at=10.0)
    log.acknowledge(3, at=14.0)
    assert log.age_s(1, requested_at=15.0) == 5.0
    assert log.age_s(2, requested_at=15.0) == 1.0
    assert log.age_s(3, requested_at=15.0) == 0.0


def test_a_write_that_is_not_acknowledged_yet_may_be_missing() -> None:
    log = VersionLog()
    assert log.age_s(1, requested_at=9.0) == 0.0
    log.acknowledge(2, at=10.0)
    assert log.age_s(1, requested_at=9.9) == 0.0


def test_hit_ratio_and_stale_share_are_shares_of_all_responses() -> None:
    staleness = StalenessStats()
    for age_s, is_hit in ((0.0, False), (0.0, True), (2.0, True), (4.0, True)):
        staleness.add(age_s, is_hit=is_hit)
    assert (staleness.hit_ratio, staleness.stale_share) == (0.75, 0.5)
    assert staleness.stale_age_s(1.0) == 4.0
    assert (StalenessStats().hit_ratio, StalenessStats().stale_share, StalenessStats().stale_age_s(0.5)) == (
        None,
        None,
        None,
    )


class TwoProcesses:
    """Two services with one row: one always serves the newest version, the other a cached one."""

    def __init__(self, *, frozen_s: float) -> None:
        self.version = 1
        self._frozen_s = frozen_s
        self._kept = (float("-inf"), 1)

    async def fresh(self, request: ReceivedRequest) -> StubResponse:
        if request.method == "PATCH":
            self.version += 1
            return StubResponse(body=json.dumps({"version": self.version}).encode())
        return self._board(self.version, "flightdeck; fwd=uri-miss; stored")

    async def cached(self, _: ReceivedRequest) -> StubResponse:
        now = asyncio.get_running_loop().time()
        is_hit = now - self._kept[0] < self._frozen_s
        if not is_hit:
            self._kept = (now, self.version)
        return self._board(self._kept[1], "flightdeck; hit; ttl=1; detail=shared" if is_hit else "flightdeck; fwd=miss")

    @staticmethod
    def _board(version: int, status: str) -> StubResponse:
        items = [{"id": 7, "version": version}, {"id": 8, "version": 1}]
        return StubResponse(body=json.dumps({"items": items}).encode(), headers={"cache-status": status})


def test_a_process_that_caches_responses_is_stale_for_its_ttl_and_one_that_does_not_never() -> None:
    processes = TwoProcesses(frozen_s=0.8)

    async def observe() -> ReadStats:
        async with stub_service(processes.fresh) as fresh, stub_service(processes.cached) as cached:
            traffic = BoardTraffic({INVALIDATED: fresh, TTL_ONLY: cached}, written=INVALIDATED, token="secret", seed=1)
            try:
                boards = await traffic.boards([20.0])
                assert {board.flight_id for board in boards} == {7}
                one = Board(target=boards[0].target, flight_id=7, writes_per_s=20.0)
                return await traffic.run([one], seconds=5.0)
            finally:
                await traffic.aclose()

    stats = asyncio.run(observe())
    fresh, cached = stats.staleness[20.0, INVALIDATED], stats.staleness[20.0, TTL_ONLY]
    assert stats.failures == 0
    assert stats.writes[20.0] > 20
    assert (fresh.stale_share, fresh.hit_ratio) == (0.0, 0.0)
    assert (cached.hit_ratio or 0) > 0.2
    assert (cached.stale_share or 0) > 0.2
    assert 0.1 < (cached.stale_age_s(1.0) or 0) < 1.2


def test_failed_requests_are_counted_and_are_not_responses() -> None:
    async def failing(_: ReceivedRequest) -> StubResponse:
        return StubResponse(status=503)

    async def observe(handler: Callable[[ReceivedRequest], Awaitable[StubResponse]]) -> ReadStats:
        async with stub_service(handler) as url:
            traffic = BoardTraffic({INVALIDATED: url}, written=INVALIDATED, token="secret", seed=1)
            try:
                return await traffic.run([Board(target="/board", flight_id=7, writes_per_s=20.0)], seconds=1.0)
            finally:
                await traffic.aclose()

    stats = asyncio.run(observe(failing))
    assert stats.failures > 5
    assert not stats.staleness
    assert not stats.writes


def point(ttl_s: float, process: str, *, hit_ratio: float, stale_share: float = 0.0, oldest_s: float = 0.0) -> TtlPoint:
    return TtlPoint(
        ttl_s=ttl_s,
        writes_per_s=0.2,
        process=process,
        responses=1000,
        hit_ratio=hit_ratio,
        stale_share=stale_share,
        stale_p50_s=oldest_s / 2 or None,
        stale_p95_s=oldest_s or None,
        stale_most_s=oldest_s or None,
    )


POINTS = [
    point(1.0, TTL_ONLY, hit_ratio=0.6, stale_share=0.1, oldest_s=1.4),
    point(5.0, TTL_ONLY, hit_ratio=0.93, stale_share=0.4, oldest_s=7.0),
    point(20.0, TTL_ONLY, hit_ratio=0.97, stale_share=0.8, oldest_s=28.0),
    *(point(ttl_s, INVALIDATED, hit_ratio=0.8) for ttl_s in (1.0, 5.0, 20.0)),
]


def test_the_shortest_ttl_with_nearly_the_best_hit_ratio_is_recommended_with_its_staleness() -> None:
    chosen_s, reason = recommended(POINTS)
    assert chosen_s == 5.0
    assert (
        "93% hits, and no response was more than 7.0 s stale; 20 s gives 97% hits, with responses up to 28.0 s stale"
        in reason
    )
    assert "0 of 3000 responses were stale, at any TTL: a longer TTL has no cost there" in reason


def test_stale_responses_in_spite_of_invalidation_are_reported() -> None:
    _, reason = recommended([*POINTS, point(30.0, INVALIDATED, hit_ratio=0.9, stale_share=0.002, oldest_s=0.1)])
    assert reason.endswith("2 of 4000 responses were stale, at any TTL")


def test_nothing_measured_recommends_nothing() -> None:
    assert sweep_result([]).recommendation is None
    assert sweep_result([]).curves == []


def test_the_trade_off_is_drawn_as_hit_ratio_by_staleness() -> None:
    trade_off = sweep_result(POINTS).curves[-1]
    assert [line.points for line in trade_off.lines] == [[(1.4, 0.6), (7.0, 0.93), (28.0, 0.97)]]


@pytest.mark.parametrize("failures", [0, 3])
def test_failed_requests_are_noted(failures: int) -> None:
    assert any(
        note.startswith("Failed requests") and note.endswith(": 3.")
        for note in sweep_result(POINTS, failures=failures).notes
    ) is bool(failures)
