"""Clients of a workload against a real server: logins, cookies, redirects, HEAD, statuses."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lab.core.address import Address
from lab.core.errors import BadTarget
from lab.load.cookies import Cookies
from lab.load.load import drive
from lab.load.load_model import ClosedLoop, Phase
from lab.load.recording import Recording
from lab.load.sessions import Sessions
from lab.load.testing import ReceivedRequest, StubResponse, stub_service
from lab.workload.draw import PreparedWorkload
from lab.workload.workload import Workload

LOGIN = {"path": "/login", "json": {"user": "{user}", "password": "${SHOP_PASSWORD}"}, "token": "data.0.token"}
PASSWORD = "open sesame"
SIGNED = {"Authorization": "Bearer {token}"}


class Shop:
    """Requires a login; remembers what it received."""

    def __init__(self, respond: Callable[[ReceivedRequest], StubResponse] | None = None) -> None:
        self.received: list[ReceivedRequest] = []
        self.respond = respond

    async def __call__(self, request: ReceivedRequest) -> StubResponse:
        self.received.append(request)
        if request.target != "/login":
            return self.respond(request) if self.respond else StubResponse()
        sent = json.loads(request.body)
        if sent["password"] != PASSWORD:
            return StubResponse(status=401)
        body = json.dumps({"data": [{"token": f"token of {sent['user']}"}]}).encode()
        return StubResponse(headers={"set-cookie": f"sid={sent['user']}; Path=/; HttpOnly"}, body=body)


def sent_to(
    shop: Shop, fields: dict[str, Any], *, count: int = 12, password: str = PASSWORD, prefix: str = ""
) -> Recording:
    """Return the recording of a workload that was sent to the shop."""
    workload = PreparedWorkload(Workload.model_validate(fields), {"SHOP_PASSWORD": password})

    async def run() -> Recording:
        async with stub_service(shop) as url:
            address = Address.of(f"{url}{prefix}")
            sessions = Sessions(workload, address)
            await sessions.log_in(workload.clients(1))
            await sessions.log_in(workload.clients(1))
            model = ClosedLoop(clients=2, requests=count)
            return await drive(address, workload.requests(1, seed=1), model, Phase(duration_s=5.0), state=sessions)

    return asyncio.run(run())


def test_every_client_logs_in_once_and_sends_its_own_token_and_cookie() -> None:
    shop = Shop()
    users = {"values": {"user": ["ann", "bob"]}, "login": LOGIN}
    recording = sent_to(shop, {"clients": 3, "headers": SIGNED, "requests": [{"path": "/{user}"}], **users})
    logins = [request for request in shop.received if request.target == "/login"]
    others = [request for request in shop.received if request.target != "/login"]
    assert len(logins) == 3
    assert (len(others), recording.unexpected) == (12, {})
    for request in others:
        user = request.target[1:]
        assert (request.headers["authorization"], request.headers["cookie"]) == (
            f"Bearer token of {user}",
            f"sid={user}",
        )
    assert {request.target for request in others} == {"/ann", "/bob"}


@pytest.mark.parametrize(
    ("password", "login", "complaint"),
    [
        ("wrong", LOGIN, "login failed: POST /login at .* responded with 401, not 2xx"),
        ("open sesame", LOGIN | {"token": "data.1.token"}, "no data.1.token in the response to POST /login"),
        ("open sesame", LOGIN | {"token": "data"}, "data in the response .* is not a text"),
    ],
)
def test_a_login_that_fails_is_said_without_its_secrets(password: str, login: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadTarget, match=complaint) as raised:
        sent_to(Shop(), {"values": {"user": ["ann"]}, "login": login, "requests": [{"path": "/"}]}, password=password)
    assert "token of" not in str(raised.value)
    assert password not in str(raised.value)


def test_cookies_of_responses_are_sent_back_by_the_same_client() -> None:
    def respond(request: ReceivedRequest) -> StubResponse:
        seen[request.headers.get("cookie", "")] += 1
        number = sum(seen.values())
        return StubResponse(headers={"set-cookie": f"visit={number}; Path=/"})

    seen = Counter[str]()
    sent_to(Shop(respond), {"clients": 1, "requests": [{"path": "/a/b"}]})
    assert seen[""] <= 2  # both connections may send before the first response
    assert all(cookie.startswith("visit=") for cookie in seen if cookie)


def redirecting(status: int, location: str) -> Callable[[ReceivedRequest], StubResponse]:
    def respond(request: ReceivedRequest) -> StubResponse:
        if request.target in {"/old", "/shop/old"}:
            return StubResponse(status=status, headers={"location": location, "set-cookie": "seen=1; Path=/"})
        return StubResponse()

    return respond


@pytest.mark.parametrize(
    ("method", "status", "location", "followed"),
    [
        ("GET", 302, "/new", "GET /new"),
        ("GET", 301, "new?a=1", "GET /new?a=1"),
        ("HEAD", 302, "/new", "HEAD /new"),
        ("POST", 303, "/new", "GET /new"),
        ("POST", 302, "/new", "GET /new"),
        ("POST", 307, "/new", "POST /new"),
        ("POST", 308, "/new", "POST /new"),
    ],
)
def test_a_redirect_within_the_service_is_followed(method: str, status: int, location: str, followed: str) -> None:
    shop = Shop(redirecting(status, location))
    body = {"text": "x"} if method == "POST" else {}
    recording = sent_to(shop, {"clients": 1, "requests": [{"method": method, "path": "/old"} | body]}, count=4)
    assert (recording.statuses, recording.unexpected) == ({200: 4}, {})
    ends = [request for request in shop.received if request.target != "/old"]
    assert {f"{request.method} {request.target}" for request in ends} == {followed}
    assert {request.body for request in ends} == {b"x" if followed.startswith("POST") else b""}
    assert {request.headers["cookie"] for request in ends} == {"seen=1"}


def test_a_redirect_below_the_prefix_of_the_service_is_followed() -> None:
    shop = Shop(redirecting(302, "/shop/new"))
    assert sent_to(shop, {"requests": [{"path": "/old"}]}, count=4, prefix="/shop").statuses == {200: 4}
    assert {request.target for request in shop.received} == {"/shop/old", "/shop/new"}


@pytest.mark.parametrize(
    ("location", "expect", "unexpected"),
    [
        ("https://login.example/", ["2xx"], 4),
        ("/old", ["2xx"], 4),
        ("/new", ["302"], 0),
    ],
    ids=["another origin", "a loop", "expected"],
)
def test_a_redirect_that_is_not_followed_is_the_response(location: str, expect: list[str], unexpected: int) -> None:
    requests = [{"path": "/old", "expect": expect, "name": "old"}]
    recording = sent_to(Shop(redirecting(302, location)), {"requests": requests}, count=4)
    assert recording.statuses == {302: 4}
    assert recording.unexpected == ({"old: 302": unexpected} if unexpected else {})


def test_a_response_to_head_is_complete_without_the_body_that_its_headers_describe() -> None:
    requests = [{"method": "HEAD", "path": "/"}]
    recording = sent_to(Shop(lambda _: StubResponse(body=b"x" * 1000)), {"requests": requests})
    assert (recording.statuses, recording.connections) == ({200: 12}, 2)


def test_unexpected_statuses_are_counted_by_kind() -> None:
    def respond(request: ReceivedRequest) -> StubResponse:
        return StubResponse(status={"/a": 500, "/b": 404, "/c": 204}[request.target])

    requests = [{"name": "a", "path": "/a"}, {"name": "b", "path": "/b", "expect": [404, "2xx"]}, {"path": "/c"}]
    assert sent_to(Shop(respond), {"requests": requests}).unexpected == {"a: 500": 4}


@pytest.mark.parametrize(
    ("set_cookie", "target", "sent"),
    [
        ("a=1", "/x/y", "a=1"),
        ("a=1; Path=/", "/other", "a=1"),
        ("a=1; Path=/x", "/x/y?q", "a=1"),
        ("a=1; Path=/x", "/xy", ""),
        ("a=1", "/other", ""),
        ("a=1; Max-Age=0", "/x/y", ""),
        ("a=1; Max-Age=60", "/x/y", "a=1"),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "/x/y", ""),
        ("a=1; Expires=Thu, 01-Jan-2099 00:00:00 GMT", "/x/y", "a=1"),
        ("a=1; Expires=soon; Max-Age=soon", "/x/y", "a=1"),
        ("no pair", "/x/y", ""),
        ('a="1,2"; HttpOnly; Secure; SameSite=Lax', "/x/y", 'a="1,2"'),
    ],
)
def test_a_cookie_is_sent_where_its_attributes_allow(set_cookie: str, target: str, sent: str) -> None:
    cookies = Cookies()
    cookies.store(set_cookie, target="/x/page")
    assert cookies.header(target) == sent


def test_a_cookie_replaces_the_one_of_its_name_and_an_outdated_one_ends_it() -> None:
    cookies = Cookies()
    for value in ("a=1; Path=/", "b=2; Path=/x", "a=3; Path=/"):
        cookies.store(value, target="/")
    assert cookies.header("/x/y") == "b=2; a=3"  # longer paths first
    cookies.store("a=; Path=/; Max-Age=0", target="/")
    assert cookies.header("/x/y") == "b=2"
