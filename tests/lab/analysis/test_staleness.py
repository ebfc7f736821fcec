"""How old answers are, by a client that knows when writes were acknowledged; and what that says about a TTL."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from lab.analysis.staleness import Ledger, Observed
from lab.load.testing import ReceivedRequest, StubResponse, stub_service
from lab.sweeps.ttl import TOLD, UNTOLD, recommended, told
from lab.sweeps.ttl_curves import TtlPoint
from lab.sweeps.watched_boards import Board, ReadStats, WatchedBoards


def test_an_answer_is_as_old_as_the_first_write_that_it_lacks() -> None:
    ledger = Ledger()
    ledger.acknowledge(2, at=10.0)
    ledger.acknowledge(3, at=14.0)
    assert ledger.age_s(1, asked_at=15.0) == 5.0
    assert ledger.age_s(2, asked_at=15.0) == 1.0
    assert ledger.age_s(3, asked_at=15.0) == 0.0


def test_a_write_that_nobody_was_told_of_yet_may_be_missing() -> None:
    ledger = Ledger()
    assert ledger.age_s(1, asked_at=9.0) == 0.0
    ledger.acknowledge(2, at=10.0)
    assert ledger.age_s(1, asked_at=9.9) == 0.0


def test_hits_and_stale_answers_are_shares_of_all_answers() -> None:
    observed = Observed()
    for age_s, is_hit in ((0.0, False), (0.0, True), (2.0, True), (4.0, True)):
        observed.add(age_s, is_hit=is_hit)
    assert (observed.hit_ratio, observed.stale_share) == (0.75, 0.5)
    assert observed.stale_age_s(1.0) == 4.0
    assert (Observed().hit_ratio, Observed().stale_share, Observed().stale_age_s(0.5)) == (None, None, None)


class TwoProcesses:
    """One row behind two services: one always answers with the newest version, the other with one that is old."""

    def __init__(self, *, frozen_s: float) -> None:
        self.version = 1
        self._frozen_s = frozen_s
        self._kept = (float("-inf"), 1)

    async def fresh(self, asked: ReceivedRequest) -> StubResponse:
        if asked.method == "PATCH":
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


def test_a_process_that_keeps_answers_is_seen_to_be_stale_for_as_long_and_one_that_does_not_never() -> None:
    processes = TwoProcesses(frozen_s=0.8)

    async def watch() -> ReadStats:
        async with stub_service(processes.fresh) as fresh, stub_service(processes.cached) as cached:
            watched = WatchedBoards({TOLD: fresh, UNTOLD: cached}, written=TOLD, token="secret", seed=1)
            try:
                boards = await watched.boards([20.0])
                assert {board.flight_id for board in boards} == {7}
                one = Board(target=boards[0].target, flight_id=7, writes_per_s=20.0)
                return await watched.watch([one], seconds=5.0)
            finally:
                await watched.aclose()

    seen = asyncio.run(watch())
    fresh, cached = seen.observed[20.0, TOLD], seen.observed[20.0, UNTOLD]
    assert seen.failures == 0
    assert seen.writes[20.0] > 20
    assert (fresh.stale_share, fresh.hit_ratio) == (0.0, 0.0)
    assert (cached.hit_ratio or 0) > 0.2
    assert (cached.stale_share or 0) > 0.2
    assert 0.1 < (cached.stale_age_s(1.0) or 0) < 1.2


def test_requests_that_fail_are_counted_and_are_no_answers() -> None:
    async def failing(_: ReceivedRequest) -> StubResponse:
        return StubResponse(status=503)

    async def watch(handler: Callable[[ReceivedRequest], Awaitable[StubResponse]]) -> ReadStats:
        async with stub_service(handler) as url:
            watched = WatchedBoards({TOLD: url}, written=TOLD, token="secret", seed=1)
            try:
                return await watched.watch([Board(target="/board", flight_id=7, writes_per_s=20.0)], seconds=1.0)
            finally:
                await watched.aclose()

    seen = asyncio.run(watch(failing))
    assert seen.failures > 5
    assert not seen.observed
    assert not seen.writes


def point(ttl_s: float, way: str, *, hit_ratio: float, stale_share: float = 0.0, oldest_s: float = 0.0) -> TtlPoint:
    return TtlPoint(
        ttl_s=ttl_s,
        writes_per_s=0.2,
        way=way,
        responses=1000,
        hit_ratio=hit_ratio,
        stale_share=stale_share,
        stale_p50_s=oldest_s / 2 or None,
        stale_p95_s=oldest_s or None,
        stale_most_s=oldest_s or None,
    )


POINTS = [
    point(1.0, UNTOLD, hit_ratio=0.6, stale_share=0.1, oldest_s=1.4),
    point(5.0, UNTOLD, hit_ratio=0.93, stale_share=0.4, oldest_s=7.0),
    point(20.0, UNTOLD, hit_ratio=0.97, stale_share=0.8, oldest_s=28.0),
    *(point(ttl_s, TOLD, hit_ratio=0.8) for ttl_s in (1.0, 5.0, 20.0)),
]


def test_the_shortest_ttl_with_nearly_all_hits_is_recommended_with_the_staleness_it_was_seen_to_cost() -> None:
    chosen_s, reason = recommended(POINTS)
    assert chosen_s == 5.0
    assert "93% hits, and no answer was more than 7.0 s out of date; 20 s gives 97%, and answers 28.0 s" in reason
    assert "0 of 3000 answers were stale, whatever the TTL: there a longer one costs nothing" in reason


def test_stale_answers_in_spite_of_invalidation_are_not_passed_over() -> None:
    _, reason = recommended([*POINTS, point(30.0, TOLD, hit_ratio=0.9, stale_share=0.002, oldest_s=0.1)])
    assert reason.endswith("2 of 4000 answers were stale, whatever the TTL")


def test_nothing_measured_recommends_nothing() -> None:
    assert told([]).recommendation is None
    assert told([]).curves == []


def test_the_trade_off_is_drawn_as_hits_against_the_age_of_what_was_stale() -> None:
    trade_off = told(POINTS).curves[-1]
    assert [line.points for line in trade_off.lines] == [[(1.4, 0.6), (7.0, 0.93), (28.0, 0.97)]]


@pytest.mark.parametrize("failures", [0, 3])
def test_failed_requests_are_said(failures: int) -> None:
    assert any(
        note.startswith("Requests that failed") and note.endswith(": 3.")
        for note in told(POINTS, failures=failures).notes
    ) is bool(failures)
