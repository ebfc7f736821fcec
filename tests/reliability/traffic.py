"""Clients that read, write and export during a fault, and the responses that they get."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

import httpx

from tests.servers.arm import BEARER

TIMEOUT_S = 15.0
PAUSE_S = 0.05

READS: Mapping[str, str] = {
    "list": "/flights?origin=JFK&min_delay_min={number}&limit=20",
    "board": "/airports/LGA/departures?date=2013-07-01",
    "weather": "/weather/JFK?at=2013-07-01T{hour:02}:00Z",
}


@dataclass
class Responses:
    """The responses to one kind of request during one fault."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0


@dataclass
class Journal:
    """The responses to all clients, by kind of request."""

    by_kind: defaultdict[str, Responses] = field(default_factory=lambda: defaultdict(Responses))
    updated: list[tuple[int, int]] = field(default_factory=list)
    """Flight and version of every status update that was confirmed."""
    exports: list[str] = field(default_factory=list)
    """Addresses of the exports that were accepted."""
    in_a_row: Counter[str] = field(default_factory=Counter)
    """Successes of the kind since its last error."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, kind: str, response: httpx.Response | None, seconds: float) -> None:
        """Record a response, or that there was none."""
        status = response.status_code if response is not None else 0
        with self.lock:
            responses = self.by_kind[kind]
            responses.statuses[status] += 1
            responses.slowest_s = max(responses.slowest_s, seconds)
            self.in_a_row[kind] = self.in_a_row[kind] + 1 if 200 <= status < 300 else 0
            if response is not None and kind == "update" and status == 200:
                flight = response.json()
                self.updated.append((flight["id"], flight["version"]))
            if response is not None and kind == "export" and status == 202:
                self.exports.append(response.headers["Location"])

    def clear(self) -> None:
        """Discard the counts."""
        with self.lock:
            self.by_kind.clear()
            self.in_a_row.clear()

    def wait_until_healthy(self, *, within_s: float) -> float:
        """Return the seconds until every kind of request has succeeded three times in a row."""
        began = monotonic()
        while len([kind for kind, number in self.in_a_row.items() if number >= 3]) < len(READS) + 2:
            assert monotonic() - began < within_s, {kind: dict(one.statuses) for kind, one in self.by_kind.items()}
            sleep(0.02)
        return monotonic() - began


@contextmanager
def clients(url: str) -> Iterator[Journal]:
    """Yield the journal of clients of every kind, which send requests until the block ends."""
    journal, is_over = Journal(), threading.Event()

    def send(kind: str) -> None:
        number = 0
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
            while not is_over.wait(PAUSE_S if kind != "export" else 4 * PAUSE_S):
                number += 1
                began = monotonic()
                response = None
                with suppress(httpx.TransportError):
                    response = client.request(**_request(kind, number))
                journal.record(kind, response, monotonic() - began)

    threads = [threading.Thread(target=send, args=[kind]) for kind in (*READS, "update", "export")]
    for thread in threads:
        thread.start()
    try:
        yield journal
    finally:
        is_over.set()
        for thread in threads:
            thread.join(2 * TIMEOUT_S)


def _request(kind: str, number: int) -> dict[str, Any]:
    if kind == "update":
        body: dict[str, Any] = {"status": "departed", "departure_delay_min": number % 1000}
        return {"method": "PATCH", "url": f"/flights/{1 + number % 5}/status", "json": body, "headers": BEARER}
    if kind == "export":
        return {"method": "POST", "url": "/exports", "json": {"carrier": "HA"}, "headers": BEARER}
    return {"method": "GET", "url": READS[kind].format(number=number % 60, hour=5 + number % 18)}
