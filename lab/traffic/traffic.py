"""The traffic model: seeded requests to the flights service, the same for every arm.

Any run of requests has nearly the same composition: kinds in exact proportions, targets spread evenly over their
popularity (`lab.traffic.systematic`). It is independent of the load tool: the lab's generator and Locust send the same
requests.
"""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal
from urllib.parse import urlencode

import numpy as np
from numpy.random import Generator

from lab.traffic.popularity import (
    CARRIERS,
    DESTINATIONS,
    LAST_DAY,
    LAST_DAY_WITH_WEATHER,
    ORIGINS,
    Choice,
    popular_flights,
    recent_days,
    weighted,
    zipf,
)
from lab.traffic.systematic import SystematicDraws

Kind = Literal[
    "board", "report", "routes", "list", "flight", "airport", "nearest", "airlines", "update",
    "weather", "itinerary", "export",
]  # fmt: skip
Mix = Mapping[Kind, float]

MIXES: Final[dict[str, Mix]] = {
    "everyday": {
        "board": 0.2,
        "report": 0.12,
        "routes": 0.03,
        "list": 0.15,
        "flight": 0.25,
        "airport": 0.12,
        "nearest": 0.05,
        "airlines": 0.06,
        "update": 0.02,
    },
    "whole service": {
        "board": 0.16,
        "report": 0.11,
        "routes": 0.03,
        "list": 0.14,
        "flight": 0.195,
        "airport": 0.1,
        "nearest": 0.05,
        "airlines": 0.05,
        "update": 0.02,
        "weather": 0.06,
        "itinerary": 0.025,
        "export": 0.06,
    },
    "reading": {
        "board": 0.1,
        "report": 0.12,
        "list": 0.05,
        "flight": 0.35,
        "airport": 0.23,
        "nearest": 0.05,
        "airlines": 0.1,
    },
    "boards": {"board": 1.0},
    "reports": {"report": 0.9, "routes": 0.1},
    "reports and boards": {"report": 0.6, "board": 0.4},
    "reference": {"airport": 0.4, "nearest": 0.4, "airlines": 0.2},
    "returning readers": {"airport": 0.3, "airlines": 0.15, "nearest": 0.15, "board": 0.4},
    "lists": {"list": 1.0},
    "single rows": {"flight": 0.7, "airport": 0.3},
    "updates": {"update": 1.0},
    "weather": {"weather": 1.0},
    "weather and flights": {"weather": 0.5, "flight": 0.5},
    "itineraries and flights": {"itinerary": 0.15, "flight": 0.85},
    "exports and flights": {"export": 0.3, "flight": 0.7},
    "read after write": {"report": 0.5, "board": 0.4, "update": 0.1},
}
"""Shares of the kinds of request, by the name of the mix; they add up to 1."""

RETURNS: Final[Mapping[str, float]] = {"returning readers": 0.5}
"""Share of requests, by mix, in which a client requests one of its last pages again.

About half of all page views in browsers are revisits (Obendorf et al., "Web Page Revisitation Revisited", 2007)."""
LAST_PAGES: Final = 5
"""Pages of a client to which it may return."""
READERS: Final = 4
"""Clients of one list in these mixes: a list is their sessions, long enough that they return within it."""

WRITES: Final[frozenset[Kind]] = frozenset({"update", "export"})
"""Kinds that write to the database."""
STATUSES: Final = ("boarding", "departed", "arrived", "scheduled")
FURTHER_PAGE: Final = 0.4
"""Probability that a reader of a list requests the next page."""
MIN_READERS: Final = 3
"""Readers of lists before the first one goes on, so that it has read its page."""
GOLDEN_RATIO: Final = 0.6180339887498949
"""Steps of this size cover the kinds evenly: any eight requests are close to the shares, unlike independent draws."""
LIST_FIELDS: Final = "id,carrier,number,destination,scheduled_departure,departure_delay_min,status"


@dataclass(frozen=True, slots=True)
class Client:
    """A simulated client: accepted codings, a private HTTP cache or none, speed of its link."""

    number: int
    accept_encoding: str
    has_cache: bool
    link_bytes_per_s: float | None
    """None: unlimited."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A reader's position in the pages of one list."""

    number: int
    page: int


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the traffic model, without address, cursor or validator."""

    kind: str
    method: str
    target: str
    client: Client
    body: bytes = b""
    walk: Walk | None = None


ACCEPT_ENCODINGS: Final = Choice(("gzip, deflate, br, zstd", "gzip, deflate, br", "gzip", ""), (0.7, 0.2, 0.08, 0.02))
"""Sent by browsers, older browsers, libraries and scripts."""
CACHE_SHARE: Final = 0.3
"""Clients with an HTTP cache: programs that call an API seldom have one."""
READERS_CACHE_SHARE: Final = 0.9
"""The same in mixes whose readers return: most use a browser."""
SLOW_LINK_SHARE: Final = 0.05
SLOW_LINK_BYTES_PER_S: Final = 250_000.0
"""2 Mbit/s."""


def population(random: Generator, size: int = 60, *, cache_share: float = CACHE_SHARE) -> list[Client]:
    """Return clients with fixed shares of HTTP caches and slow links."""
    caching, slow = (set(random.permutation(size)[: round(size * share)]) for share in (cache_share, SLOW_LINK_SHARE))
    return [
        Client(
            number=number,
            accept_encoding=ACCEPT_ENCODINGS.draw(random),
            has_cache=number in caching,
            link_bytes_per_s=SLOW_LINK_BYTES_PER_S if number in slow else None,
        )
        for number in range(size)
    ]


def seeded(*numbers: int) -> Generator:
    return np.random.default_rng(numbers)


class Traffic:
    """Requests of one mix; the same seed gives the same requests for every arm.

    Without writes, all other requests keep their order.
    """

    def __init__(self, mix: str, *, seed: int, writes: bool = True) -> None:
        shares = MIXES[mix]
        self.seed = seed
        self.writes = writes
        self.kinds = Choice(list(shares), list(shares.values()))
        fixed = seeded(seed, 0)
        self.returns = RETURNS.get(mix, 0.0)
        self.clients = population(fixed, cache_share=READERS_CACHE_SHARE if self.returns else CACHE_SHARE)
        self.flights = popular_flights(fixed)
        self.days = recent_days()
        self.origins = weighted(ORIGINS)
        self.destinations = weighted(DESTINATIONS)
        self.carriers = weighted(CARRIERS)
        self.reports = zipf(
            [
                {"by": by} | ({"origin": origin} if origin else {}) | ({"month": month} if month else {})
                for month in ("", f"{LAST_DAY:%Y-%m}")
                for origin in ("", *ORIGINS)
                for by in ("carrier", "hour", "destination", "month")
            ],
            exponent=1.3,  # a few dashboards get most requests
        )

    def requests(self, stream: int) -> Iterator[Request]:
        """Yield the requests of a stream without end; streams differ, but share the popular targets."""
        clients = self.clients
        if self.returns:
            clients = [self.clients[(READERS * stream + number) % len(self.clients)] for number in range(READERS)]
        requests = self._drawn(seeded(self.seed, 1, stream), clients)
        return requests if self.writes else (request for request in requests if request.kind not in WRITES)

    def _drawn(self, random: Generator, clients: Sequence[Client]) -> Iterator[Request]:
        draws = {kind: SystematicDraws(random) for kind in self.kinds.items}
        goes_on = SystematicDraws(random)
        pages: defaultdict[Client, deque[Request]] = defaultdict(lambda: deque(maxlen=LAST_PAGES))
        open_lists: deque[tuple[Request, Walk]] = deque(maxlen=5)  # older readers end
        share = float(random.random())
        while True:
            share = (share + GOLDEN_RATIO) % 1.0
            kind = self.kinds.at(share)
            draw = draws[kind]
            if kind == "list":
                goes_on.begin_request()
                request = self._list_or_next_page(draw, clients, open_lists, goes_on=goes_on.random() < FURTHER_PAGE)
            else:
                draw.begin_request()
                client = clients[draw.integers(len(clients))]
                if self.returns and draw.random() < self.returns and pages[client]:
                    request = pages[client][draw.integers(len(pages[client]))]
                else:
                    request = self._request(kind, draw, client)
                    pages[client].append(request)
            yield request

    def _list_or_next_page(
        self,
        draw: SystematicDraws,
        clients: Sequence[Client],
        open_lists: deque[tuple[Request, Walk]],
        *,
        goes_on: bool,
    ) -> Request:
        if goes_on and len(open_lists) >= MIN_READERS:
            first, walk = open_lists.popleft()
            request = replace(first, walk=Walk(walk.number, walk.page + 1))
        else:
            draw.begin_request()  # first pages only: a point that is skipped would be a gap
            request = self._request("list", draw, clients[draw.integers(len(clients))])
        if request.walk is not None:
            open_lists.append((request, request.walk))
        return request

    def _request(self, kind: Kind, draw: SystematicDraws, client: Client) -> Request:
        build: Callable[[SystematicDraws, Client], Request] = getattr(self, f"_{kind}")
        return build(draw, client)

    def _board(self, draw: SystematicDraws, client: Client) -> Request:
        day = self.days.draw(draw)
        return Request("board", "GET", f"/airports/{self.origins.draw(draw)}/departures?date={day}", client)

    def _report(self, draw: SystematicDraws, client: Client) -> Request:
        return Request("report", "GET", f"/reports/delays?{urlencode(self.reports.draw(draw))}", client)

    def _routes(self, draw: SystematicDraws, client: Client) -> Request:
        return Request("routes", "GET", f"/reports/routes?origin={self.origins.draw(draw)}&limit=20", client)

    def _list(self, draw: SystematicDraws, client: Client) -> Request:
        query_kind = draw.random()
        until = self.days.draw(draw)
        since = until - timedelta(days=6)
        span = {"date_from": since.isoformat(), "date_to": until.isoformat()}
        if query_kind < 0.5:
            query = {"origin": self.origins.draw(draw), "destination": self.destinations.draw(draw)} | span
        elif query_kind < 0.8:
            query = {"origin": self.origins.draw(draw)} | span
        else:
            query = {
                "carrier": self.carriers.draw(draw),
                "min_delay_min": "60",
                "sort": "-departure_delay_min",
            } | span
        if draw.random() < 0.3:
            query["fields"] = LIST_FIELDS
        walk = Walk(draw.integers(2**31), 1)
        return Request("list", "GET", f"/flights?{urlencode(query, safe=',')}", client, walk=walk)

    def _flight(self, draw: SystematicDraws, client: Client) -> Request:
        return Request("flight", "GET", f"/flights/{self.flights.draw(draw)}", client)

    def _airport(self, draw: SystematicDraws, client: Client) -> Request:
        return Request("airport", "GET", f"/airports/{self.destinations.draw(draw)}", client)

    def _nearest(self, draw: SystematicDraws, client: Client) -> Request:
        return Request("nearest", "GET", f"/airports/{self.destinations.draw(draw)}/nearest?limit=5", client)

    @staticmethod
    def _airlines(_: SystematicDraws, client: Client) -> Request:
        return Request("airlines", "GET", "/airlines", client)

    def _update(self, draw: SystematicDraws, client: Client) -> Request:
        status = STATUSES[draw.integers(len(STATUSES))]
        change = {"status": status, "departure_delay_min": draw.integers(120)}
        target = f"/flights/{self.flights.draw(draw)}/status"
        return Request("update", "PATCH", target, client, body=json.dumps(change).encode())

    def _weather(self, draw: SystematicDraws, client: Client) -> Request:
        day = min(self.days.draw(draw), LAST_DAY_WITH_WEATHER)
        moment = f"{day}T{draw.integers(24):02d}:00Z"
        return Request("weather", "GET", f"/weather/{self.origins.draw(draw)}?at={moment}", client)

    def _itinerary(self, draw: SystematicDraws, client: Client) -> Request:
        there, back = self.destinations.draw(draw), self.destinations.draw(draw)
        query = {"origin": there, "destination": back if back != there else "EWR", "date": str(self.days.draw(draw))}
        return Request("itinerary", "GET", f"/itineraries?{urlencode(query)}", client)

    def _export(self, draw: SystematicDraws, client: Client) -> Request:
        until = self.days.draw(draw)
        body = {"format": "csv", "date_from": str(until - timedelta(days=29)), "date_to": str(until)}
        return Request("export", "POST", "/exports", client, body=json.dumps(body).encode())


def typical_request(mix: str, *, seed: int) -> Request:
    """Return the first request of the mix's first kind."""
    kind = next(iter(MIXES[mix]))
    return next(request for request in Traffic(mix, seed=seed).requests(1) if request.kind == kind)
