"""The edge's configuration in a real Varnish, in front of a small application with the service's middleware."""

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
from service.database.read_your_writes import COOKIE
from service.delivery.conditional_requests import HttpCacheMiddleware
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.http.cache_model.tags import tag_response
from tests.servers.asgi import serving
from tests.servers.varnish import varnish
from tests.service.conftest import Bodies, Lookups, thread_pool

POLICIES = PolicyTable(
    {
        "/boards/{name}": CachePolicy(cache="board", technique="response_cache", ttl_s=60, stale_s=30),
        "/brief/{name}": CachePolicy(cache="board", technique="response_cache", ttl_s=1, stale_s=60),
    }
)


class Service:
    """Serves boards that contain a version, and records the requests."""

    def __init__(self) -> None:
        self.version = 1
        self.requests: list[Request] = []
        self.delay_s = 0.0
        self.is_failing = False

    async def board(self, request: Request) -> Response:
        self.requests.append(request)
        version = self.version
        await asyncio.sleep(self.delay_s)
        if self.is_failing:
            return PlainTextResponse("failing", 503)
        name = request.path_params.get("name", "")
        tag_response(request, f"board:{name}", "flights")
        return JSONResponse({"name": name, "version": version, "padding": "x" * 2000})

    async def livez(self, _: Request) -> Response:
        return PlainTextResponse("", headers={"cache-control": "no-store"})

    async def without_freshness(self, request: Request) -> Response:
        self.requests.append(request)
        return PlainTextResponse("without Cache-Control", 203)

    def app(self) -> ASGIApp:
        routes = [
            Route("/boards/{name}", self.board),
            Route("/brief/{name}", self.board),
            Route("/lists", self.board),
            Route("/silent", self.without_freshness),
            Route("/livez", self.livez),
        ]
        checked = HttpCacheMiddleware(Starlette(routes=routes), policies=POLICIES)
        return CompressionMiddleware(checked, meter=Bodies(), threads=thread_pool())


@dataclass
class Stack:
    """A service, and the edge in front of it."""

    service: Service
    service_url: str
    edge_url: str


@pytest.fixture(scope="module")
def stack(varnish_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    service = Service()
    directory = tmp_path_factory.mktemp("varnish")
    with serving(service.app()) as url, varnish(varnish_program, directory, service_url=url) as edge_url:
        yield Stack(service, url, edge_url)


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.edge_url, timeout=60) as client:
        client.headers["accept-encoding"] = "identity"
        client.request("PURGE", "/", headers={"surrogate-key": "*"})
        yield client


@pytest.fixture
def service(stack: Stack) -> Service:
    stack.service.__init__()  # type: ignore[misc]  # resets it for the next test
    return stack.service


@pytest.fixture
def lookups() -> Lookups:
    return Lookups()


def versions(client: httpx.Client, *paths: str) -> list[int]:
    return [client.get(path).json()["version"] for path in paths]


def test_a_hit_at_the_edge_is_reported_in_cache_status(client: httpx.Client, service: Service) -> None:
    first, second = client.get("/boards/JFK"), client.get("/boards/JFK")
    assert len(service.requests) == 1
    assert first.headers["cache-status"] == "edge; fwd=uri-miss; stored"
    assert second.headers["cache-status"].startswith("edge; hit; ttl=5")
    assert second.json() == first.json()
    assert not second.headers.keys() & {"surrogate-key", "xkey", "via", "x-varnish"}


def test_a_purge_removes_the_responses_with_its_key_only(client: httpx.Client, service: Service) -> None:
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


def test_a_purge_without_a_key_is_rejected_with_a_problem(client: httpx.Client) -> None:
    rejected = client.request("PURGE", "/")
    assert rejected.status_code == 400
    assert rejected.headers["content-type"] == "application/problem+json"
    assert rejected.json()["title"] == "PURGE needs the header Surrogate-Key"


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
    assert len(service.requests) == 4
    purge = client.request("PURGE", "/", headers={"surrogate-key": "board:JFK"})
    assert purge.headers["x-purged"] == "4"


def test_a_request_with_the_current_etag_gets_304_from_the_edge(client: httpx.Client, service: Service) -> None:
    gzipped = {"accept-encoding": "gzip"}
    with client.stream("GET", "/boards/JFK", headers=gzipped) as response:
        etag = response.headers["etag"]
        assert b'"version":1' in gzip.decompress(b"".join(response.iter_raw()))
    again = client.get("/boards/JFK", headers={**gzipped, "if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert len(service.requests) == 1
    other = client.get("/boards/JFK", headers={"if-none-match": etag})
    assert other.status_code == 200, "the ETag is of another variant"


def test_a_stale_response_is_served_while_the_edge_revalidates_it(client: httpx.Client, service: Service) -> None:
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
    assert service.requests[1].headers["if-none-match"] == stale.headers["etag"]
    assert fresh.json() == stale.json()


def test_a_5xx_response_does_not_replace_a_cached_one(client: httpx.Client, service: Service) -> None:
    client.get("/brief/JFK")
    threading.Event().wait(1.3)
    service.is_failing = True
    for _ in range(3):
        assert client.get("/brief/JFK").status_code == 200
        threading.Event().wait(0.1)
    assert len(service.requests) > 1


def test_stale_responses_are_served_while_the_service_is_down(varnish_program: str, tmp_path: Path) -> None:
    with ExitStack() as edge:
        with serving(Service().app()) as url:
            edge_url = edge.enter_context(varnish(varnish_program, tmp_path, service_url=url))
            assert httpx.get(f"{edge_url}/brief/JFK").status_code == 200
        threading.Event().wait(1.5)
        check_responses_without_the_service(edge_url)


def check_responses_without_the_service(edge_url: str) -> None:
    assert httpx.get(f"{edge_url}/brief/JFK").json()["version"] == 1
    unknown = httpx.get(f"{edge_url}/boards/LGA")
    assert unknown.status_code == 503
    assert unknown.headers["content-type"] == "application/problem+json"
    assert unknown.json()["title"] == "The service does not respond"


@pytest.mark.parametrize(
    ("path", "headers"), [("/boards/JFK", {"authorization": "Bearer x"}), ("/lists", {}), ("/silent", {})]
)
def test_responses_that_cannot_be_shared_are_not_cached(
    client: httpx.Client, service: Service, path: str, headers: dict[str, str]
) -> None:
    responses = [client.get(path, headers=headers) for _ in range(3)]
    assert len(service.requests) == 3
    assert responses[-1].headers["cache-status"] == "edge; fwd=bypass"


def test_a_request_with_a_cookie_is_cached(client: httpx.Client, service: Service) -> None:
    for _ in range(2):
        client.get("/boards/JFK", headers={"cookie": "theme=dark"})
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [
        (["flightdeck_position=7"], "flightdeck_position=7"),
        (["theme=dark; flightdeck_position=7; session=secret"], "flightdeck_position=7"),
        (["theme=dark", "flightdeck_position=7"], "flightdeck_position=7"),
        (["flightdeck_position=6; flightdeck_position=7"], "flightdeck_position=7"),
        (["flightdeck_position=7x"], None),
        (["my_flightdeck_position=7"], None),
        (["flightdeck_position="], None),
        ([f"flightdeck_position={'9' * 20}"], None),
        (["session=secret"], None),
    ],
)
def test_only_the_position_of_the_last_write_bypasses_the_cache_and_reaches_the_service(
    client: httpx.Client, service: Service, cookies: list[str], expected: str | None
) -> None:
    client.get("/boards/JFK")
    service.version = 2
    headers = [("accept-encoding", "identity"), *(("cookie", line) for line in cookies)]
    response = client.get("/boards/JFK", headers=headers)
    assert response.json()["version"] == (1 if expected is None else 2)
    assert service.requests[-1].headers.get("cookie") == expected
    assert client.get("/boards/JFK").json()["version"] == 1, "the cached response is kept for others"


@pytest.mark.parametrize("path", ["/lists", "/silent"])
def test_a_response_that_is_not_cached_is_read_with_the_clients_position(
    client: httpx.Client, service: Service, path: str
) -> None:
    client.get(path, headers={"cookie": f"{COOKIE}=7; session=secret"})
    assert service.requests[-1].headers["cookie"] == f"{COOKIE}=7"


def test_errors_are_not_cached(client: httpx.Client, service: Service) -> None:
    service.is_failing = True
    assert client.get("/boards/JFK").status_code == 503
    service.is_failing = False
    assert client.get("/boards/JFK").status_code == 200


@pytest.mark.anyio
@pytest.mark.usefixtures("client")
async def test_a_write_purges_the_edge_and_limits_the_age_of_a_response_in_flight(
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
        # The service has read the old version; before it responds, the write completes and purges the edge.
        service.delay_s = 0.4
        slow = asyncio.create_task(client.get("/boards/LGA"))
        await asyncio.sleep(0.1)
        service.version = 3
        await cache.invalidate(["board:LGA"])
        assert (await slow).json()["version"] == 2
        await asyncio.sleep(1.5)
        assert (await client.get("/boards/LGA")).json()["version"] == 3
