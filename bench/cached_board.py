"""One departure board, served by several variants, each in its own process.

`python -m bench.cached_board NAME DATA_DIR` serves one variant and prints its port. For every line on its standard
input it prints the CPU seconds it has used so far.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from bench.arms import Arm, serve
from observability import TelemetrySettings
from service.app import create_app
from service.settings import Settings
from service.techniques import NAMES

PATH: Final = "/airports/EWR/departures"
QUERY: Final = "date=2013-07-11"

INSTRUMENTED: Final = TelemetrySettings.model_validate(
    {"metrics_port": 0, "access_log": False, "response_headers": "server-timing"}
)
UNINSTRUMENTED: Final = TelemetrySettings.model_validate({"enabled": False})


def service(data_dir: Path, telemetry: TelemetrySettings) -> FastAPI:
    """Return the service with every technique."""
    settings = Settings.model_validate({"techniques": frozenset(NAMES), "data_dir": data_dir})
    return create_app(settings, registry=CollectorRegistry(), telemetry=telemetry)


async def response_of(app: FastAPI, *, accept_encoding: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the headers and the body of the board."""
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": QUERY.encode(),
        "headers": [(b"accept-encoding", accept_encoding.encode())],
    }
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    start, *parts = messages
    if start["status"] != 200:
        raise RuntimeError(f"the status of the board is {start['status']}")
    return start["headers"], b"".join(part["body"] for part in parts)


def bare(data_dir: Path, accept_encoding: str, *, all_headers: bool = False) -> ASGIApp:
    """Return a Starlette application with one route that sends the same body, optionally with all headers."""
    headers, body = asyncio.run(response_of(service(data_dir, UNINSTRUMENTED), accept_encoding=accept_encoding))
    described = {b"content-type", b"content-encoding", b"vary"}
    kept = {
        name.decode(): value.decode()
        for name, value in headers
        if name in described or (all_headers and name != b"content-length")
    }

    async def board(_: Request) -> Response:
        return Response(body, headers=kept)

    return Starlette(routes=[Route("/airports/{faa}/departures", board)])


def with_fastapi_cache(data_dir: Path) -> ASGIApp:
    """Return a FastAPI application that caches the board with fastapi-cache2, in memory."""
    _, body = asyncio.run(response_of(service(data_dir, UNINSTRUMENTED), accept_encoding="identity"))
    app = FastAPI()
    FastAPICache.init(InMemoryBackend(), prefix="bench")

    @app.get("/airports/{faa}/departures")
    @cache(expire=3600)
    async def departures(faa: str, date: str) -> Any:  # noqa: ARG001 part of the cache key
        return json.loads(body)

    return app


def variants(data_dir: Path) -> dict[str, Callable[[], ASGIApp]]:
    """Return every variant, by name."""
    return {
        "bare-identity": lambda: bare(data_dir, "identity"),
        "bare-zstd": lambda: bare(data_dir, "zstd"),
        "bare-headers-identity": lambda: bare(data_dir, "identity", all_headers=True),
        "bare-headers-zstd": lambda: bare(data_dir, "zstd", all_headers=True),
        "ours": lambda: service(data_dir, INSTRUMENTED),
        "ours-uninstrumented": lambda: service(data_dir, UNINSTRUMENTED),
        "fastapi-cache2": lambda: with_fastapi_cache(data_dir),
    }


if __name__ == "__main__":
    name, directory = sys.argv[1:]
    serve(Arm(name=name, title=name, build=variants(Path(directory))[name]))
