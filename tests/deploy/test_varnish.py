"""The edge's configuration in a real Varnish, in front of a small service with the service's own middleware."""

import asyncio
import gzip
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from service.cache.invalidators import EdgePurger
from service.compression.middleware import CompressionMiddleware
from service.delivery.conditional_requests import HttpCacheMiddleware
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.http.cache_model.tags import tag_response
from tests.servers.asgi import serving
from tests.servers.varnish import varnish
from tests.service.conftest import Bodies, Lookups

POLICIES = PolicyTable(
    {
        "/boards/{name}": CachePolicy(cache="board", technique="response_cache", ttl_s=60, stale_s=30),
        "/brief/{name}": CachePolicy(cache="board", technique="response_cache", ttl_s=1, stale_s=60),
    }
)


class Service:
    """Boards with a version, how often each was asked for, and what was asked."""

    def __init__(self) -> None:
        self.version = 1
        self.asked: list[Request] = []
        self.delay_s = 0.0
        self.is_broken = False

    async def board(self, request: Request) -> Response:
        self.asked.append(request)
        version = self.version
        await asyncio.sleep(self.delay_s)
        if self.is_broken:
            return PlainTextResponse("broken", 503)
        name = request.path_params.get("name", "")
        tag_response(request, f"board:{name}", "flights")
        return JSONResponse({"name": name, "version": version, "padding": "x" * 2000})

    async def alive(self, _: Request) -> Response:
        return PlainTextResponse("", headers={"cache-control": "no-store"})

    async def silent(self, request: Request) -> Response:
        self.asked.append(request)
        return PlainTextResponse("says nothing about its freshness", 203)

    def app(self) -> ASGIApp:
        routes = [
            Route("/boards/{name}", self.board),
            Route("/brief/{name}", self.board),
            Route("/lists", self.board),
            Route("/silent", self.silent),
            Route("/livez", self.alive),
        ]
        checked = HttpCacheMiddleware(Starlette(routes=routes), policies=POLICIES)
        return CompressionMiddleware(checked, meter=Bodies())


@dataclass
class Stack:
    """A service, the edge in front of it, and where both are."""

    service: Service
    service_url: str
    edge_url: str


@pytest.fixture(scope="module")
def stack(varnish_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    service = Service()
    directory = tmp_path_factory.mktemp("varnish")
    with serving(service.app()) as url, varnish(varnish_program, directory, service_url=url) as edge_url:
        yield Stack(service, url, edge_url)


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.edge_url, timeout=10) as client:
        client.headers["accept-encoding"] = "identity"
        client.request("PURGE", "/", headers={"surrogate-key": "*"})
        yield client


@pytest.fixture
def service(stack: Stack) -> Service:
    stack.service.__init__()  # type: ignore[misc]  # as new, for the next test
    return stack.service


@pytest.fixture
def lookups() -> Lookups:
    return Lookups()


def versions(client: httpx.Client, *paths: str) -> list[int]:
    return [client.get(path).json()["version"] for path in paths]


def test_the_edge_answers_what_it_holds_and_says_so(client: httpx.Client, service: Service) -> None:
    first, second = client.get("/boards/JFK"), client.get("/boards/JFK")
    assert len(service.asked) == 1
    assert first.headers["cache-status"] == "edge; fwd=uri-miss; stored"
    assert second.headers["cache-status"].startswith("edge; hit; ttl=5")
    assert second.json() == first.json()
    assert not second.headers.keys() & {"surrogate-key", "xkey", "via", "x-varnish"}


def test_a_purge_by_key_forgets_exactly_what_carries_it(client: httpx.Client, service: Service) -> None:
    versions(client, "/boards/JFK", "/boards/LGA")
    service.version = 2
    purge = client.request("PURGE", "/", headers={"surrogate-key": "board:JFK other"})
    assert (purge.status_code, purge.headers["x-purged"]) == (200, "1")
    assert versions(client, "/boards/JFK", "/boards/LGA") == [2, 1]
    assert client.request("PURGE", "/", headers={"surrogate-key": "flights"}).headers["x-purged"] == "2"
    assert versions(client, "/boards/JFK", "/boards/LGA") == [2, 2]


def test_everything_can_be_purged(client: httpx.Client, service: Service) -> None:
    versions(client, "/boards/JFK", "/boards/LGA")
    service.version = 2
    assert client.request("PURGE", "/", headers={"surrogate-key": "*"}).status_code == 200
    assert versions(client, "/boards/JFK", "/boards/LGA") == [2, 2]


def test_a_purge_without_a_key_is_refused_with_a_problem(client: httpx.Client) -> None:
    refused = client.request("PURGE", "/")
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["title"] == "PURGE needs the header Surrogate-Key"


def test_every_coding_is_one_variant_and_all_are_purged_together(client: httpx.Client, service: Service) -> None:
    spellings = [
        "gzip, deflate, br, zstd",
        "zstd",
        "br, gzip",
        "br;q=1.0",
        "gzip",
        "gzip;q=0.8, zstd;q=0",
        "",
        "identity",
    ]
    codings = [
        client.get("/boards/JFK", headers={"accept-encoding": spelling}).headers.get("content-encoding")
        for spelling in spellings
    ]
    assert codings == ["zstd", "zstd", "br", "br", "gzip", "gzip", None, None]
    assert len(service.asked) == 4
    purge = client.request("PURGE", "/", headers={"surrogate-key": "board:JFK"})
    assert purge.headers["x-purged"] == "4"


def test_a_client_that_is_up_to_date_gets_304_from_the_edge(client: httpx.Client, service: Service) -> None:
    gzipped = {"accept-encoding": "gzip"}
    with client.stream("GET", "/boards/JFK", headers=gzipped) as response:
        etag = response.headers["etag"]
        assert b'"version":1' in gzip.decompress(b"".join(response.iter_raw()))
    again = client.get("/boards/JFK", headers={**gzipped, "if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert len(service.asked) == 1
    other = client.get("/boards/JFK", headers={"if-none-match": etag})
    assert other.status_code == 200, "a validator of another variant"


def test_stale_is_sent_while_the_edge_refreshes_by_validation(client: httpx.Client, service: Service) -> None:
    client.get("/brief/JFK")
    threading.Event().wait(1.3)
    service.delay_s = 1.0
    stale = client.get("/brief/JFK")
    assert stale.elapsed.total_seconds() < 0.9
    assert stale.headers["cache-status"].startswith("edge; hit; ttl=-")
    for _ in range(100):
        fresh = client.get("/brief/JFK")
        if fresh.headers["cache-status"].startswith("edge; hit; ttl=0"):
            break
        threading.Event().wait(0.05)
    else:
        pytest.fail("the edge did not refresh")
    assert service.asked[1].headers["if-none-match"] == stale.headers["etag"]
    assert fresh.json() == stale.json()


def test_a_failing_service_does_not_replace_what_is_still_there(client: httpx.Client, service: Service) -> None:
    client.get("/brief/JFK")
    threading.Event().wait(1.3)
    service.is_broken = True
    for _ in range(3):
        assert client.get("/brief/JFK").status_code == 200
        threading.Event().wait(0.1)
    assert len(service.asked) > 1


def test_while_the_service_is_away_stale_is_better_than_nothing(varnish_program: Path, tmp_path: Path) -> None:
    with ExitStack() as edge:
        with serving(Service().app()) as url:
            edge_url = edge.enter_context(varnish(varnish_program, tmp_path, service_url=url))
            assert httpx.get(f"{edge_url}/brief/JFK").status_code == 200
        threading.Event().wait(1.5)
        answers_without_the_service(edge_url)


def answers_without_the_service(edge_url: str) -> None:
    assert httpx.get(f"{edge_url}/brief/JFK").json()["version"] == 1
    unknown = httpx.get(f"{edge_url}/boards/LGA")
    assert unknown.status_code == 503
    assert unknown.headers["content-type"] == "application/problem+json"
    assert unknown.json()["title"] == "The service does not respond"


@pytest.mark.parametrize(
    ("path", "headers"), [("/boards/JFK", {"authorization": "Bearer x"}), ("/lists", {}), ("/silent", {})]
)
def test_what_may_not_be_shared_is_asked_for_every_time(
    client: httpx.Client, service: Service, path: str, headers: dict[str, str]
) -> None:
    answers = [client.get(path, headers=headers) for _ in range(3)]
    assert len(service.asked) == 3
    assert answers[-1].headers["cache-status"] == "edge; fwd=bypass"


def test_a_cookie_does_not_make_the_edge_forget_its_purpose(client: httpx.Client, service: Service) -> None:
    for _ in range(2):
        client.get("/boards/JFK", headers={"cookie": "theme=dark"})
    assert len(service.asked) == 1


def test_failures_are_not_kept(client: httpx.Client, service: Service) -> None:
    service.is_broken = True
    assert client.get("/boards/JFK").status_code == 503
    service.is_broken = False
    assert client.get("/boards/JFK").status_code == 200


@pytest.mark.anyio
@pytest.mark.usefixtures("client")
async def test_a_write_reaches_the_edge_and_an_answer_under_way_does_not_outlive_it(
    stack: Stack, service: Service, lookups: Lookups
) -> None:
    async with (
        EdgePurger(url=stack.edge_url, meter=lookups) as cache,
        httpx.AsyncClient(base_url=stack.edge_url) as client,
    ):
        await client.get("/boards/JFK")
        service.version = 2
        await cache.invalidate(["board:JFK"])
        assert (await client.get("/boards/JFK")).json()["version"] == 2
        assert lookups.invalidations["edge", "edge"] >= 1
        # The service has read the old version, the write is done and the edge purged, and then the answer arrives.
        service.delay_s = 0.4
        slow = asyncio.create_task(client.get("/boards/LGA"))
        await asyncio.sleep(0.1)
        service.version = 3
        await cache.invalidate(["board:LGA"])
        assert (await slow).json()["version"] == 2
        await asyncio.sleep(1.5)
        assert (await client.get("/boards/LGA")).json()["version"] == 3
