"""Departure boards that are read from two processes while flights on them change: what readers got, and how old."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import Any, Final

import httpx

from lab.analysis.staleness import Ledger, Observed
from lab.core.errors import LabError
from lab.traffic.popularity import LAST_DAY, ORIGINS
from lab.traffic.traffic import STATUSES, seeded

DAYS: Final = 4
READS_PER_S: Final = 2.0
"""Of every board, from each process."""
TIMEOUT_S: Final = 30.0


@dataclass(kw_only=True)
class Board:
    """A departure board, one flight on it that changes, and how often."""

    target: str
    flight_id: int
    writes_per_s: float
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(kw_only=True)
class ReadStats:
    """What came of a phase, by how often the board changed and by the process that was asked."""

    observed: dict[tuple[float, str], Observed] = field(default_factory=dict)
    writes: dict[float, int] = field(default_factory=dict)
    failures: int = 0


class WatchedBoards:
    """Reads boards from every process at the same moments; all writes go to one of them."""

    def __init__(self, processes: Mapping[str, str], *, written: str, token: str, seed: int) -> None:
        """Take the processes' URLs by name, and the name of the one that is written to."""
        self._processes = dict(processes)
        self._written = processes[written]
        self._headers = {"authorization": f"Bearer {token}"}
        self._seed = seed
        self._loop = asyncio.get_running_loop()
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def boards(self, writes_per_s: Sequence[float]) -> list[Board]:
        """Return boards of the last days, each with a rate of writes in turn; raise `LabError` without an answer."""
        days = [LAST_DAY - timedelta(days=back) for back in range(DAYS)]
        found = []
        for number, (day, origin) in enumerate(product(days, ORIGINS)):
            target = f"/airports/{origin}/departures?date={day}"
            rate = writes_per_s[(number + number // len(ORIGINS)) % len(writes_per_s)]
            try:
                items = [(await self._board(url, target))["items"] for url in self._processes.values()]
            except httpx.HTTPError as error:
                raise LabError(f"no departure board at {target}: {error!r}") from error
            found.append(Board(target=target, flight_id=items[0][0]["id"], writes_per_s=rate))
        return found

    async def watch(self, boards: Sequence[Board], *, seconds: float) -> ReadStats:
        """Return what readers got for so long."""
        seen = ReadStats()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as working:
                for number, board in enumerate(boards):
                    working.create_task(self._write(board, number, seen))
                    working.create_task(self._read(board, number, seen))
        return seen

    async def _write(self, board: Board, number: int, seen: ReadStats) -> None:
        random = seeded(self._seed, 3, number)
        while True:
            await asyncio.sleep(float(random.exponential(1 / board.writes_per_s)))
            change = {
                "status": STATUSES[int(random.integers(len(STATUSES)))],
                "departure_delay_min": int(random.integers(120)),
            }
            url = f"{self._written}/flights/{board.flight_id}/status"
            try:
                answer = (await self._client.patch(url, json=change, headers=self._headers)).raise_for_status()
            except httpx.HTTPError:
                seen.failures += 1
                continue
            board.ledger.acknowledge(answer.json()["version"], self._loop.time())
            seen.writes[board.writes_per_s] = seen.writes.get(board.writes_per_s, 0) + 1

    async def _read(self, board: Board, number: int, seen: ReadStats) -> None:
        random = seeded(self._seed, 4, number)
        due = self._loop.time()
        while True:
            due += float(random.exponential(1 / READS_PER_S))
            await asyncio.sleep(due - self._loop.time())
            await asyncio.gather(*(self._read_from(process, board, seen) for process in self._processes))

    async def _read_from(self, process: str, board: Board, seen: ReadStats) -> None:
        asked_at = self._loop.time()
        try:
            answer = (await self._client.get(f"{self._processes[process]}{board.target}")).raise_for_status()
        except httpx.HTTPError:
            seen.failures += 1
            return
        version = next(item["version"] for item in answer.json()["items"] if item["id"] == board.flight_id)
        observed = seen.observed.setdefault((board.writes_per_s, process), Observed())
        is_hit = "hit" in answer.headers.get("cache-status", "").split("; ")
        observed.add(board.ledger.age_s(version, asked_at), is_hit=is_hit)

    async def _board(self, url: str, target: str) -> dict[str, Any]:
        body: dict[str, Any] = json.loads((await self._client.get(f"{url}{target}")).raise_for_status().content)
        return body
