"""Reads of departure boards from two processes while their flights change, with the staleness of the responses."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import Any, Final

import httpx

from lab.analysis.staleness import StalenessStats, VersionLog
from lab.core.errors import LabError
from lab.traffic.popularity import LAST_DAY, ORIGINS
from lab.traffic.traffic import STATUSES, seeded

DAYS: Final = 4
READS_PER_S: Final = 2.0
"""Per board and process."""
TIMEOUT_S: Final = 30.0


@dataclass(kw_only=True)
class Board:
    """A departure board with one flight that changes at a rate."""

    target: str
    flight_id: int
    writes_per_s: float
    version_log: VersionLog = field(default_factory=VersionLog)


@dataclass(kw_only=True)
class ReadStats:
    """Results by rate of writes and by process."""

    staleness: dict[tuple[float, str], StalenessStats] = field(default_factory=dict)
    writes: dict[float, int] = field(default_factory=dict)
    failures: int = 0


class BoardTraffic:
    """Reads boards from every process at the same times; all writes go to one of them."""

    def __init__(self, processes: Mapping[str, str], *, written: str, token: str, seed: int) -> None:
        """`processes` are URLs by name, `written` is the name of the one that gets the writes."""
        self._processes = dict(processes)
        self._written = processes[written]
        self._headers = {"authorization": f"Bearer {token}"}
        self._seed = seed
        self._loop = asyncio.get_running_loop()
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def boards(self, writes_per_s: Sequence[float]) -> list[Board]:
        """Return boards of the last days with rates of writes in rotation; raise `LabError` if one cannot be read."""
        days = [LAST_DAY - timedelta(days=back) for back in range(DAYS)]
        boards = []
        for number, (day, origin) in enumerate(product(days, ORIGINS)):
            target = f"/airports/{origin}/departures?date={day}"
            rate = writes_per_s[(number + number // len(ORIGINS)) % len(writes_per_s)]
            try:
                items = [(await self._board(url, target))["items"] for url in self._processes.values()]
            except httpx.HTTPError as error:
                raise LabError(f"no departure board at {target}: {error!r}") from error
            boards.append(Board(target=target, flight_id=items[0][0]["id"], writes_per_s=rate))
        return boards

    async def run(self, boards: Sequence[Board], *, seconds: float) -> ReadStats:
        stats = ReadStats()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                for number, board in enumerate(boards):
                    tasks.create_task(self._write(board, number, stats))
                    tasks.create_task(self._read(board, number, stats))
        return stats

    async def _write(self, board: Board, number: int, stats: ReadStats) -> None:
        random = seeded(self._seed, 3, number)
        while True:
            await asyncio.sleep(float(random.exponential(1 / board.writes_per_s)))
            change = {
                "status": STATUSES[int(random.integers(len(STATUSES)))],
                "departure_delay_min": int(random.integers(120)),
            }
            url = f"{self._written}/flights/{board.flight_id}/status"
            try:
                response = (await self._client.patch(url, json=change, headers=self._headers)).raise_for_status()
            except httpx.HTTPError:
                stats.failures += 1
                continue
            board.version_log.acknowledge(response.json()["version"], self._loop.time())
            stats.writes[board.writes_per_s] = stats.writes.get(board.writes_per_s, 0) + 1

    async def _read(self, board: Board, number: int, stats: ReadStats) -> None:
        random = seeded(self._seed, 4, number)
        due = self._loop.time()
        while True:
            due += float(random.exponential(1 / READS_PER_S))
            await asyncio.sleep(due - self._loop.time())
            await asyncio.gather(*(self._read_from(process, board, stats) for process in self._processes))

    async def _read_from(self, process: str, board: Board, stats: ReadStats) -> None:
        requested_at = self._loop.time()
        try:
            response = (await self._client.get(f"{self._processes[process]}{board.target}")).raise_for_status()
        except httpx.HTTPError:
            stats.failures += 1
            return
        version = next(item["version"] for item in response.json()["items"] if item["id"] == board.flight_id)
        staleness = stats.staleness.setdefault((board.writes_per_s, process), StalenessStats())
        is_hit = "hit" in response.headers.get("cache-status", "").split("; ")
        staleness.add(board.version_log.age_s(version, requested_at), is_hit=is_hit)

    async def _board(self, url: str, target: str) -> dict[str, Any]:
        body: dict[str, Any] = json.loads((await self._client.get(f"{url}{target}")).raise_for_status().content)
        return body
