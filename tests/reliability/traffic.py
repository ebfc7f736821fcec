"""Clients that read, write and export while something breaks, and what each of them was told."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

import httpx

from tests.servers.arm import BEARER

PATIENCE_S = 15.0
PAUSE_S = 0.05

READS: Mapping[str, str] = {
    "list": "/flights?origin=JFK&min_delay_min={number}&limit=20",
    "board": "/airports/LGA/departures?date=2013-07-01",
    "weather": "/weather/JFK?at=2013-07-01T{hour:02}:00Z",
}


@dataclass
class Said:
    """What one kind of request was answered, during one fault."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0


@dataclass
class Journal:
    """Everything that clients were told, by kind."""

    said: defaultdict[str, Said] = field(default_factory=lambda: defaultdict(Said))
    updated: list[tuple[int, int]] = field(default_factory=list)
    """Flight and version of every status update that was confirmed."""
    exports: list[str] = field(default_factory=list)
    """Addresses of the exports that were accepted."""
    in_a_row: Counter[str] = field(default_factory=Counter)
    """How often the kind was answered without an error since its last one."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, answer: httpx.Response | None, seconds: float) -> None:
        """Write down an answer, or that none came."""
        status = answer.status_code if answer is not None else 0
        with self.lock:
            said = self.said[kind]
            said.statuses[status] += 1
            said.slowest_s = max(said.slowest_s, seconds)
            self.in_a_row[kind] = self.in_a_row[kind] + 1 if 200 <= status < 300 else 0
            if answer is not None and kind == "update" and status == 200:
                flight = answer.json()
                self.updated.append((flight["id"], flight["version"]))
            if answer is not None and kind == "export" and status == 202:
                self.exports.append(answer.headers["Location"])

    def new_page(self) -> None:
        """Begin counting anew."""
        with self.lock:
            self.said.clear()
            self.in_a_row.clear()

    def wait_until_all_is_well(self, *, within_s: float) -> float:
        """Return the seconds until every kind was answered well three times in a row."""
        began = monotonic()
        while len([kind for kind, number in self.in_a_row.items() if number >= 3]) < len(READS) + 2:
            assert monotonic() - began < within_s, {kind: dict(one.statuses) for kind, one in self.said.items()}
            sleep(0.02)
        return monotonic() - began


@contextmanager
def clients(url: str) -> Iterator[Journal]:
    """Yield the journal of clients of every kind, which ask until the block ends."""
    journal, is_over = Journal(), threading.Event()

    def asking(kind: str) -> None:
        number = 0
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
            while not is_over.wait(PAUSE_S if kind != "export" else 4 * PAUSE_S):
                number += 1
                began = monotonic()
                answer = None
                with suppress(httpx.TransportError):
                    answer = client.request(**_request(kind, number))
                journal.note(kind, answer, monotonic() - began)

    threads = [threading.Thread(target=asking, args=[kind]) for kind in (*READS, "update", "export")]
    for thread in threads:
        thread.start()
    try:
        yield journal
    finally:
        is_over.set()
        for thread in threads:
            thread.join(2 * PATIENCE_S)


def _request(kind: str, number: int) -> dict[str, Any]:
    if kind == "update":
        body: dict[str, Any] = {"status": "departed", "departure_delay_min": number % 1000}
        return {"method": "PATCH", "url": f"/flights/{1 + number % 5}/status", "json": body, "headers": BEARER}
    if kind == "export":
        return {"method": "POST", "url": "/exports", "json": {"carrier": "HA"}, "headers": BEARER}
    return {"method": "GET", "url": READS[kind].format(number=number % 60, hour=5 + number % 18)}
