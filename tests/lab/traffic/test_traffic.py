"""The traffic model and what its clients remember."""

import gzip
import json
from collections import Counter
from itertools import islice

import pytest

from lab.load.client_state import ClientState
from lab.load.private_cache import MAX_ENTRIES, PrivateCache
from lab.traffic.popularity import CARRIERS, DESTINATIONS, FLIGHTS, ORIGINS
from lab.traffic.traffic import MIXES, READERS, Client, Request, Traffic, Walk
from service.dataset.source import FILES, Manifest

KEEPER = Client(number=7, accept_encoding="gzip", has_cache=True, link_bytes_per_s=None)
FORGETFUL = Client(number=8, accept_encoding="", has_cache=False, link_bytes_per_s=None)


def stream(mix: str, *, seed: int = 1, number: int = 0, size: int = 4000) -> list[Request]:
    return list(islice(Traffic(mix, seed=seed).requests(number), size))


def test_the_same_seed_gives_the_same_requests_and_another_seed_others() -> None:
    assert stream("everyday") == stream("everyday")
    assert stream("everyday") != stream("everyday", seed=2)
    assert stream("everyday") != stream("everyday", number=1)


@pytest.mark.parametrize("mix", MIXES)
def test_a_mix_has_its_kinds_in_their_shares(mix: str) -> None:
    assert sum(MIXES[mix].values()) == pytest.approx(1)
    seen = Counter(request.kind for request in stream(mix))
    for kind, share in MIXES[mix].items():
        assert seen[kind] / seen.total() == pytest.approx(share, abs=0.03)


def test_even_eight_requests_have_every_frequent_kind() -> None:
    for number in range(50):
        seen = Counter(request.kind for request in stream("reading", number=number, size=8))
        assert {"flight", "airport"} <= set(seen)
        assert 2 <= seen["flight"] <= 4


def test_a_few_targets_get_most_requests() -> None:
    boards = Counter(request.target for request in stream("boards"))
    hottest = sum(seen for _, seen in boards.most_common(len(boards) // 10))
    assert hottest / boards.total() > 0.4
    assert len(boards) > 300


def test_different_streams_share_what_is_popular() -> None:
    one, other = (Counter(request.target for request in stream("single rows", number=n)) for n in (1, 2))
    hot, also_hot = ({target for target, _ in counts.most_common(20)} for counts in (one, other))
    assert len(hot & also_hot) >= 12


def test_clients_differ_in_encodings_validators_and_links() -> None:
    clients = [request.client for request in stream("boards", size=20_000)]
    accepted = Counter(client.accept_encoding for client in Traffic("boards", seed=1).clients)
    assert accepted["gzip, deflate, br, zstd"] > accepted["gzip, deflate, br"] > 0
    assert 0.2 < sum(client.has_cache for client in clients) / len(clients) < 0.4
    assert 0.01 < sum(client.link_bytes_per_s is not None for client in clients) / len(clients) < 0.1


def test_lists_are_walked_page_by_page_in_order() -> None:
    pages: dict[int, list[int]] = {}
    for request in stream("lists"):
        assert request.walk is not None
        pages.setdefault(request.walk.number, []).append(request.walk.page)
    assert all(walked == list(range(1, len(walked) + 1)) for walked in pages.values())
    assert max(len(walked) for walked in pages.values()) >= 3


def test_the_popularity_is_counted_from_the_data_set() -> None:
    assert sum(ORIGINS.values()) == sum(CARRIERS.values()) == FLIGHTS
    assert len(DESTINATIONS) == 40
    assert Manifest.read(FILES).files["flights.csv"].rows == FLIGHTS


def test_the_next_page_is_requested_with_the_cursor_of_the_page_before() -> None:
    memory = ClientState()
    first = Request("list", "GET", "/flights?origin=JFK", KEEPER, walk=Walk(5, 1))
    second = Request("list", "GET", "/flights?origin=JFK", KEEPER, walk=Walk(5, 2))
    page = json.dumps({"items": [{"id": 1}], "next": "c2"}).encode()
    received = {"content-encoding": "gzip"}
    memory.update(first, first.target, status=200, headers=received, body=gzip.compress(page))
    assert not memory.has_response(second, memory.target(second))
    assert memory.target(second) == "/flights?origin=JFK&cursor=c2"
    assert memory.target(first) == "/flights?origin=JFK"


def test_a_reader_who_has_the_whole_list_requests_no_further_page() -> None:
    memory = ClientState()
    first, second = (Request("list", "GET", "/flights?origin=JFK", FORGETFUL, walk=Walk(5, page)) for page in (1, 2))
    memory.update(first, first.target, status=200, headers={}, body=b'{"items":[],"next":null}')
    assert memory.has_response(second, memory.target(second))
    assert not memory.has_response(first, first.target)


def test_a_browser_sends_nothing_while_its_copy_is_fresh_and_revalidates_it_afterwards() -> None:
    now = [100.0]
    memory = ClientState(clock=lambda: now[0])
    request = Request("board", "GET", "/airports/JFK/departures?date=2013-12-31", KEEPER)
    assert dict(memory.headers(request, request.target)) == {
        "accept-encoding": "gzip",
        "user-agent": f"flightdeck-client/{KEEPER.number}",
    }
    fresh = {"etag": '"abc"', "cache-control": "public, max-age=10, s-maxage=300", "vary": "Accept-Encoding"}
    memory.update(request, request.target, status=200, headers=fresh | {"age": "4"}, body=b"")
    now[0] += 5.9
    assert memory.has_response(request, request.target)
    now[0] += 0.2
    assert not memory.has_response(request, request.target)
    assert dict(memory.headers(request, request.target))["if-none-match"] == '"abc"'
    memory.update(request, request.target, status=304, headers={"cache-control": "max-age=10"}, body=b"")
    assert memory.has_response(request, request.target)
    now[0] += 11
    assert dict(memory.headers(request, request.target))["if-none-match"] == '"abc"'
    other = Request("board", "GET", request.target, FORGETFUL)
    memory.update(other, other.target, status=200, headers=fresh, body=b"")
    assert not memory.has_response(other, other.target)
    assert dict(memory.headers(other, other.target)).keys() == {"user-agent"}


@pytest.mark.parametrize(
    ("received", "is_fresh", "etag"),
    [
        ({"cache-control": "max-age=60"}, True, ""),
        ({"cache-control": "s-maxage=60", "etag": '"e"'}, False, '"e"'),
        ({"cache-control": "no-cache, max-age=60", "etag": '"e"'}, False, '"e"'),
        ({"cache-control": "no-store, max-age=60", "etag": '"e"'}, False, ""),
        ({"cache-control": "max-age=60", "vary": "*", "etag": '"e"'}, False, ""),
        ({"cache-control": "max-age=60", "vary": "accept-encoding, accept-language"}, True, ""),
        ({"cache-control": "MAX-AGE = 60"}, True, ""),
        ({"etag": '"e"'}, False, '"e"'),
        ({}, False, ""),
    ],
    ids=str,
)
def test_a_private_cache_honours_what_a_response_allows(received: dict[str, str], is_fresh: bool, etag: str) -> None:
    cache, sent = PrivateCache(lambda: 0.0), {"accept-encoding": "br"}
    cache.store(1, "/a", sent, status=200, received=received)
    assert cache.is_fresh(1, "/a", sent) is is_fresh
    assert cache.etag(1, "/a", sent) == etag
    assert not cache.is_fresh(2, "/a", sent)
    if "accept-encoding" in received.get("vary", ""):
        assert not cache.is_fresh(1, "/a", {"accept-encoding": "gzip"})


def test_readers_who_return_do_so_within_a_short_list() -> None:
    lists = [stream("returning readers", number=number, size=24) for number in range(1, 40)]
    returns = sum(24 - len({(request.client.number, request.target) for request in each}) for each in lists)
    assert returns / (24 * len(lists)) == pytest.approx(0.4, abs=0.07)
    assert {len({request.client.number for request in each}) for each in lists} == {READERS}


@pytest.mark.parametrize(
    "part", ["origin=EWR", "date_to=2013-12-31", "fields="], ids=["an origin", "the last day", "sparse fields"]
)
def test_short_lists_of_requests_have_nearly_the_same_composition(part: str) -> None:
    """The share of a part of the traffic varies far less than in independent draws."""
    size = 24
    first_pages = [
        [
            request
            for request in stream("lists", number=number, size=2 * size)
            if request.walk and request.walk.page == 1
        ][:size]
        for number in range(1, 80)
    ]
    shares = [sum(part in request.target for request in each) / size for each in first_pages]
    share = sum(shares) / len(shares)
    spread = sum((each - share) ** 2 for each in shares) / len(shares)
    assert spread < 0.5 * share * (1 - share) / size


def test_a_write_carries_the_token_and_its_change() -> None:
    request = next(Traffic("updates", seed=1).requests(0))
    headers = dict(ClientState(token="secret").headers(request, request.target))
    assert headers["authorization"] == "Bearer secret"
    assert request.method == "PATCH"
    assert set(json.loads(request.body)) == {"status", "departure_delay_min"}


def test_client_state_drops_its_oldest_entries() -> None:
    memory = ClientState()
    targets = [f"/flights/{number}" for number in range(MAX_ENTRIES + 1)]
    for target in targets:
        memory.update(Request("flight", "GET", target, KEEPER), target, status=200, headers={"etag": '"e"'}, body=b"")
    newest, oldest = (Request("flight", "GET", target, KEEPER) for target in (targets[-1], targets[0]))
    assert "if-none-match" in dict(memory.headers(newest, newest.target))
    assert "if-none-match" not in dict(memory.headers(oldest, oldest.target))


def test_no_weather_is_requested_for_days_without_data() -> None:
    targets = [request.target for request in islice(Traffic("weather", seed=1).requests(1), 500)]
    assert any("at=2013-12-30" in target for target in targets)
    assert not any("at=2013-12-31" in target for target in targets)
