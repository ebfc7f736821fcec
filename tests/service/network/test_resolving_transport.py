"""An unresolvable server costs few lookups, however many requests there are."""

import asyncio

import httpx
import pytest

from service.network.resolving_transport import ResolvingTransport
from tests.service.resolver import BACK, GONE, Resolver


class Server(httpx.AsyncBaseTransport):
    """Responds, or fails to connect."""

    def __init__(self, *, is_down: bool) -> None:
        self.is_down = is_down
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.is_down:
            raise httpx.ConnectError("connection refused", request=request)
        return httpx.Response(200)


def client(inner: httpx.AsyncBaseTransport, *, host: str = GONE, timeout_s: float | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{host}", timeout=timeout_s, transport=ResolvingTransport(inner))


async def test_requests_that_time_out_share_one_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch)
    async with client(httpx.AsyncHTTPTransport(), timeout_s=0.01) as http:
        for number in range(20):
            with pytest.raises(httpx.ConnectTimeout):
                await http.get(f"/{number}")
    assert resolver.lookups == [GONE, GONE], "the first found out by itself, the others together"


async def test_a_name_that_is_denied_is_a_failure_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch).responds.set()
    server = Server(is_down=True)
    async with client(server) as http:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                await http.get("/")
    assert server.requests == 1


async def test_nothing_is_looked_up_for_a_server_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch)
    async with client(Server(is_down=False)) as http:
        responses = await asyncio.gather(*(http.get("/") for _ in range(10)))
    assert {response.status_code for response in responses} == {200}
    assert resolver.lookups == []


async def test_a_server_that_is_up_again_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch)
    server = Server(is_down=True)
    async with client(server, host=BACK) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("/")
        server.is_down = False
        for _ in range(2):
            assert (await http.get("/")).status_code == 200
    assert server.requests == 3
    assert resolver.lookups == [BACK]
