"""What-if metrics of applications: what they count, what they keep, and what they leave alone."""

import asyncio
import gc
import pickle
import time
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample
from sqlalchemy import create_engine, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool
from starlette.middleware import Middleware
from starlette.types import Message, Receive, Scope, Send

from observability.core.settings import TelemetrySettings
from observability.instrument import instrument
from observability.request.record import RequestRecord
from observability.request.route_table import RouteTable
from observability.testing import CapturedTelemetry, capture_telemetry, lifespan_client
from observability.whatif.observation import Observation
from observability.whatif.whatif import WhatIf
from tests.servers.asgi import serving

SECRET = "hunter2-secret"
PRIMARY = {"db_client_connection_pool_name": "primary"}


@pytest.fixture
def captured() -> Iterator[CapturedTelemetry]:
    with capture_telemetry() as telemetry:
        yield telemetry


def shop() -> FastAPI:
    app = FastAPI()
    changes = iter(range(1000))

    @app.get("/items/{item}")
    async def item(item: str, q: str = "") -> dict[str, str]:
        return {"item": item, "q": q}

    @app.get("/changing")
    async def changing() -> int:
        return next(changes)

    @app.get("/varying")
    async def varying(request: Request, response: Response) -> str:
        response.headers["vary"] = "Accept-Language"
        return request.headers.get("accept-language", "")

    @app.get("/personal")
    async def personal(response: Response) -> str:
        response.set_cookie("session", "1")
        return "yours"

    @app.get("/private")
    async def private(response: Response) -> str:
        response.headers["cache-control"] = "no-store"
        return "not stored"

    @app.post("/items/{item}")
    async def change(item: str) -> str:
        return item

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a" * 600, b"b" * 600]), media_type="text/plain")

    return app


def misses(captured: CapturedTelemetry, handler: str, cache: str = "response", ttl: str = "60") -> float:
    return captured.value("whatif_cache_misses_total", cache=cache, handler=handler, ttl=ttl)


def lookups(captured: CapturedTelemetry, handler: str, cache: str = "response") -> float:
    return captured.value("whatif_cache_lookups_total", cache=cache, handler=handler)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("requests", "handler", "counted", "missed"),
    [
        ([("GET", "/items/a", {}), ("GET", "/items/b", {})] * 3, "/items/{item}", 6, 2),
        ([("GET", "/items/a?q=1&r=2", {}), ("GET", "/items/a?r=2&q=1", {})], "/items/{item}", 2, 1),
        ([("GET", "/items/a", {"authorization": user}) for user in "abab"], "/items/{item}", 4, 2),
        ([("GET", "/items/a", {"cookie": user}) for user in "abab"], "/items/{item}", 4, 2),
        ([("GET", "/varying", {"accept-language": tongue}) for tongue in ("de", "fr", "de")], "/varying", 3, 2),
        ([("GET", "/items/a", {"accept-language": tongue}) for tongue in ("de", "fr")], "/items/{item}", 2, 1),
        ([("GET", "/personal", {})] * 2, "/personal", 0, 0),
        ([("GET", "/private", {})] * 2, "/private", 0, 0),
        ([("POST", "/items/a", {})] * 2, "/items/{item}", 0, 0),
        ([("GET", "/missing", {})] * 2, "unmatched", 0, 0),
    ],
    ids=["keys", "order of the query", "token", "cookie", "vary", "no vary", "set-cookie", "no-store", "post", "404"],
)
async def test_which_requests_a_response_cache_could_have_had(
    captured: CapturedTelemetry, requests: list[Any], handler: str, counted: int, missed: int
) -> None:
    app = shop()
    captured.instrument(app, whatif=True)
    async with lifespan_client(app) as client:
        for method, url, headers in requests:
            await client.request(method, url, headers=headers)
    assert lookups(captured, handler) == counted
    assert misses(captured, handler) == missed
    assert captured.value("whatif_requests_total", handler=handler) == len(requests)


@pytest.mark.anyio
async def test_hits_with_another_content_are_stale_and_a_client_gets_it_again(captured: CapturedTelemetry) -> None:
    app = shop()
    captured.instrument(app, whatif=True)
    async with lifespan_client(app) as client:
        for _ in range(5):
            await client.get("/changing")
            await client.get("/items/a")
            await client.get("/items/a", headers={"user-agent": "another"})
    assert captured.value("whatif_cache_stale_hits_total", handler="/changing", ttl="60") == 4
    assert captured.value("whatif_cache_stale_hits_total", handler="/items/{item}") == 0
    assert misses(captured, "/changing", "client", "unlimited") == 5
    assert misses(captured, "/items/{item}", "client", "unlimited") == 2


@pytest.mark.anyio
async def test_a_body_in_parts_is_counted_whole_and_by_the_coding_that_its_client_accepts(
    captured: CapturedTelemetry,
) -> None:
    app = shop()
    captured.instrument(app, whatif=True)
    async with lifespan_client(app) as client:
        for accepted in ("gzip", "identity"):
            await client.get("/stream", headers={"accept-encoding": accepted})
    assert captured.value("whatif_compressible_bytes_total", handler="/stream", encoding="gzip") == 1200
    assert captured.value("whatif_compressible_bytes_total", handler="/stream", encoding="identity") == 1200
    assert captured.value("whatif_cache_lookup_bytes_total", cache="response", handler="/stream") == 2400


def test_trials_run_in_an_application_under_a_server(captured: CapturedTelemetry) -> None:
    app = shop()
    captured.instrument(app, whatif=True)
    with serving(app) as url:
        import httpx  # noqa: PLC0415 beside its only use

        deadline = time.monotonic() + 60
        while not captured.value("whatif_trial_bodies_total") and time.monotonic() < deadline:
            httpx.get(f"{url}/stream")
    assert captured.value("whatif_trial_bytes_total", handler="/stream") >= 1200
    assert 0 < captured.value("whatif_trial_compressed_bytes_total", encoding="gzip") < 1200


@pytest.mark.anyio
async def test_blocking_steps_are_counted_by_misses_of_the_response_cache(captured: CapturedTelemetry) -> None:
    app = FastAPI()

    @app.get("/blocking")
    async def blocking() -> None:
        time.sleep(0.01)  # noqa: ASYNC251 what is measured

    captured.instrument(app, whatif=True)
    async with lifespan_client(app) as client:
        for _ in range(3):
            await client.get("/blocking")
    for amount, step in (("blocking_seconds", 0.01), ("blocking_square_seconds", 0.01**2)):
        (miss,) = captured.samples(f"whatif_cache_miss_{amount}_total", handler="/blocking", ttl="60")
        (every,) = captured.samples(f"whatif_cache_lookup_{amount}_total", handler="/blocking")
        assert step <= miss.value <= every.value - 2 * step, "two of the three are hits"
        assert captured.value(f"whatif_cache_sampled_{amount}_total") == pytest.approx(every.value)
        assert every.labels["cache"] == "response", "of responses only"
        assert every.value == pytest.approx(captured.value(f"whatif_{amount}_total", handler="/blocking"))


@pytest.mark.anyio
async def test_blocking_routes_are_distinguished_from_waiting_ones(captured: CapturedTelemetry) -> None:
    app = FastAPI()

    @app.get("/blocking")
    async def blocking() -> None:
        time.sleep(0.02)  # noqa: ASYNC251 what is measured

    @app.get("/waiting")
    async def waiting() -> None:
        await asyncio.sleep(0.02)

    captured.instrument(app, whatif=True)
    async with lifespan_client(app) as client:
        await client.get("/waiting")  # the first request builds routes
        before = captured.value("whatif_blocking_seconds_total", handler="/waiting")
        for _ in range(3):
            await client.get("/blocking")
            await client.get("/waiting")
    assert captured.value("whatif_blocking_seconds_total", handler="/blocking") >= 0.06
    assert captured.value("whatif_blocking_square_seconds_total", handler="/blocking") >= 3 * 0.02**2
    assert captured.value("whatif_blocking_seconds_total", handler="/waiting") - before < 0.02


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_statements_are_counted_by_what_a_technique_would_save(captured: CapturedTelemetry, kind: str) -> None:
    app = FastAPI()
    options: dict[str, Any] = {"poolclass": StaticPool}
    sync = create_engine("sqlite://", connect_args={"check_same_thread": False}, **options)
    asynchronous = create_async_engine("sqlite+aiosqlite://", **options)

    @app.get("/sync")
    def in_thread() -> None:
        with Session(sync) as session:
            for number in (1, 2, 3, 3):
                session.execute(select(text(":number")).params(number=number))
        with Session(sync) as session:
            session.execute(text("CREATE TABLE IF NOT EXISTS t (x)"))
            session.execute(text("INSERT INTO t VALUES (1)"))
            session.commit()

    @app.get("/async")
    async def on_loop() -> None:
        async with asynchronous.begin() as connection:
            for number in (1, 2, 3, 3):
                await connection.execute(select(text(":number")).params(number=number))
        async with asynchronous.begin() as connection:
            await connection.execute(text("CREATE TABLE IF NOT EXISTS t (x)"))
            await connection.execute(text("INSERT INTO t VALUES (1)"))

    captured.instrument(app, engines={"primary": sync if kind == "sync" else asynchronous}, whatif=True)
    async with lifespan_client(app) as client:
        assert (await client.get(f"/{kind}")).status_code == 200
        assert (await client.get(f"/{kind}")).status_code == 200
    sync.dispose()
    await asynchronous.dispose()
    handler = f"/{kind}"
    assert captured.value("whatif_repeated_queries_total", handler=handler) == 2 * 3
    assert lookups(captured, handler, "statement") == 2 * 4
    assert misses(captured, handler, "statement", "60") == 3
    assert captured.value("whatif_cache_lookup_queries_total", cache="response", handler=handler) == 2 * 6
    assert captured.value("whatif_transaction_queries_total", access="read", **PRIMARY) == 2 * 4
    assert captured.value("whatif_transaction_queries_total", access="write", **PRIMARY) == 2 * 2


def test_any_urls_bodies_and_clients_add_no_series_and_little_memory() -> None:
    """The recorder alone, as the telemetry calls it: the rest of a request would take minutes."""
    registry, random, number = CollectorRegistry(), Random(1), 100_000
    whatif = WhatIf(registry)

    async def send(_: Message) -> None: ...

    async def respond(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"vary", b"accept-language")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": random.randbytes(16)})

    async def receive() -> Message:
        raise AssertionError("no body is read")

    observed, routes = whatif.middleware(respond), RouteTable(FastAPI())

    def request() -> None:
        noise = random.randbytes(8).hex()
        scope: Scope = {"type": "http", "method": "GET", "path": f"/items/{noise}", "query_string": noise.encode()}
        scope["headers"] = [(b"user-agent", noise.encode()), (b"accept-language", noise[:6].encode())]
        record = RequestRecord(scope, routes)
        with suppress(StopIteration):
            observed(scope, receive, send).__await__().send(None)
        whatif.observe(record, handler="/items/{item}", status=200)

    request()
    before = len(list(exposed(registry)))
    for _ in range(number - 1):
        request()
    after = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in exposed(registry)}
    assert len(after) == before
    assert all(cache.sampled_keys <= 2048 for cache in whatif.caches.values())
    assert next(
        value
        for (name, *labels), value in after.items()
        if name == "whatif_cache_misses_total" and {("cache", "response"), ("ttl", "60")} <= set(labels)
    ) == pytest.approx(number, rel=0.1)


def exposed(registry: CollectorRegistry) -> Iterator[Sample]:
    return (sample for family in registry.collect() for sample in family.samples)


@pytest.mark.anyio
async def test_nothing_of_a_url_a_body_a_credential_or_a_parameter_is_kept(captured: CapturedTelemetry) -> None:
    app = shop()
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)

    @app.get("/query")
    def query(q: str) -> str:
        with engine.begin() as connection:
            return str(connection.execute(select(text(":q")).params(q=q)).scalar())

    telemetry = captured.instrument(app, engines={"primary": engine}, whatif=True)
    async with lifespan_client(app) as client:
        headers = {"authorization": f"Bearer {SECRET}", "cookie": f"session={SECRET}", "user-agent": SECRET}
        for path in ("/items", "/query"):
            await client.get(
                f"{path}/{SECRET}?q={SECRET}" if path == "/items" else f"{path}?q={SECRET}", headers=headers
            )
        assert lookups(captured, "/items/{item}") == 1
        assert telemetry.whatif is not None
        caches = [list(cache._entries.items()) for cache in telemetry.whatif.caches.values()]
        kept = pickle.dumps([[(key, entry.stored, entry.values) for key, entry in cache] for cache in caches])
        assert SECRET.encode() not in kept
        gc.collect()
        assert not [one for one in gc.get_objects() if isinstance(one, Observation)], "a finished request is freed"
    engine.dispose()
    assert SECRET not in str(
        [(sample.name, sample.labels) for family in captured.registry.collect() for sample in family.samples]
    )


@pytest.mark.anyio
async def test_a_failure_in_the_observation_breaks_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.core.internal_errors import internal_error_count, raise_internal_errors  # noqa: PLC0415

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    with capture_telemetry() as captured, raise_internal_errors(False):
        app = shop()
        captured.instrument(app, whatif=True)
        monkeypatch.setattr(WhatIf, "_observe_response", broken)
        before = internal_error_count("whatif")
        async with lifespan_client(app) as client:
            assert (await client.get("/items/a")).json() == {"item": "a", "q": ""}
        assert internal_error_count("whatif") == before + 1


@pytest.mark.anyio
async def test_the_official_libraries_may_do_the_rest() -> None:
    with capture_telemetry(http="official") as captured:
        app = shop()
        captured.instrument(app, whatif=True)
        async with lifespan_client(app) as client:
            await client.get("/items/a")
            await client.get("/items/a")
        assert (lookups(captured, "/items/{item}"), misses(captured, "/items/{item}")) == (2, 1)


@pytest.mark.anyio
async def test_a_copied_scope_is_observed_too(captured: CapturedTelemetry) -> None:
    class Copying:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(dict(scope), receive, send)

    app = FastAPI(middleware=[Middleware(Copying)])
    app.add_api_route("/a", lambda: "a")
    captured.instrument(app, whatif=True)
    async with lifespan_client(app) as client:
        await client.get("/a")
    assert lookups(captured, "/a") == 1


@pytest.mark.parametrize(
    ("argument", "setting", "on"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_the_argument_comes_before_the_setting_and_off_adds_nothing(
    argument: bool | None, setting: bool, on: bool
) -> None:
    app = FastAPI()
    telemetry = instrument(
        app, whatif=argument, settings=TelemetrySettings(metrics_exporter="none", log_format="none", whatif=setting)
    )
    assert (telemetry.whatif is not None) == on
    assert any(family.name.startswith("whatif_") for family in telemetry.registry.collect()) == on
    inner: Any = object()
    middleware: Any = telemetry.middleware(app, inner)
    assert (middleware._http is inner) == (not on)


def test_the_environment_turns_it_on() -> None:
    assert TelemetrySettings.from_environ({"OBSERVABILITY_WHATIF": "1"}).whatif
    assert not TelemetrySettings.from_environ({}).whatif
