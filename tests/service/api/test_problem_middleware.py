from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from service.api.problem_middleware import ProblemMiddleware
from tests.servers.asgi import serving


async def plain(_: Request) -> Response:
    return PlainTextResponse("no", status_code=416, headers={"Content-Range": "bytes */7", "ETag": '"a"'})


async def streamed(_: Request) -> Response:
    return StreamingResponse(iter([b"a", b"b", b"c"]), status_code=502)


async def problem(_: Request) -> Response:
    return JSONResponse({"title": "kept"}, status_code=409, media_type="application/problem+json; charset=utf-8")


async def fine(_: Request) -> Response:
    return PlainTextResponse("yes")


async def unheard_of(_: Request) -> Response:
    return Response(status_code=599)


ROUTES = [
    Route("/unheard-of", unheard_of),
    Route("/plain", plain),
    Route("/streamed", streamed),
    Route("/problem", problem),
    Route("/fine", fine),
]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    app = Starlette(routes=ROUTES, middleware=[Middleware(ProblemMiddleware)])
    with serving(app) as url, httpx.Client(base_url=url) as client:
        yield client


def test_an_error_in_other_words_becomes_a_problem_and_keeps_its_headers(client: httpx.Client) -> None:
    response = client.get("/plain")

    assert response.status_code == 416
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Content-Range"] == "bytes */7"
    assert "ETag" not in response.headers
    assert response.json()["title"] == HTTPStatus(416).phrase
    assert response.json()["instance"] == "/plain"


def test_a_streamed_error_is_replaced_completely(client: httpx.Client) -> None:
    assert client.get("/streamed").json()["status"] == 502
    assert client.get("/fine").text == "yes"


def test_an_unassigned_status_is_a_problem_too(client: httpx.Client) -> None:
    assert client.get("/unheard-of").json() == {
        "type": "about:blank",
        "title": "Error",
        "status": 599,
        "detail": "Error",
        "instance": "/unheard-of",
    }


def test_problems_and_successful_responses_pass_unchanged(client: httpx.Client) -> None:
    assert client.get("/problem").json() == {"title": "kept"}
    assert client.get("/fine").text == "yes"
