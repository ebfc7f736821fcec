"""An instrumented application with a database, a client, logs, errors and tasks, without one private name of a library.

`python -m tests.observability.compat.probe LIBRARY NAME...` loads the library once for each name, as if its authors had
renamed the name, or had hidden the module of that name from other packages, and prints what still works.
"""

import asyncio
import builtins
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any, Final

IMPORTED: Final = (
    *("celery.app.amqp", "celery.app.trace", "httpx", "prometheus_client", "pydantic_settings", "requests"),
    *("sentry_sdk", "sqlalchemy.ext.asyncio", "structlog", "fastapi"),
)
"""What an application imports, the libraries that import others of them last."""


def import_others(library: str) -> None:
    """Import once for all names what does not need the library."""
    for module in IMPORTED:
        if module.partition(".")[0] != library and (module, library) != ("fastapi", "opentelemetry"):
            import_module(module)
    if library in sys.modules:
        raise RuntimeError(f"{library} is imported already")


def rename(library: str, name: str) -> None:
    """Let the library's modules be compiled with another name in place of this one."""
    get_data = SourceFileLoader.get_data
    pattern = re.compile(rb"\b%b\b" % name.encode())

    def renamed(self: SourceFileLoader, path: str) -> bytes:
        if self.name != library and not self.name.startswith(f"{library}."):
            return get_data(self, path)
        changed, occurrences = pattern.subn(name.encode() + b"_renamed", get_data(self, self.path))
        if not occurrences:
            return get_data(self, path)
        if not path.endswith(".py"):
            raise FileNotFoundError(path)  # no bytecode of the unchanged source
        return changed

    SourceFileLoader.get_data = renamed  # type: ignore[method-assign, assignment]
    SourceFileLoader._cache_bytecode = lambda *_: None  # type: ignore[attr-defined]


def remove(module: str) -> None:
    """Let `observability` fail to import the module."""
    original = builtins.__import__

    def importing(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 the signature is Python's
        locals: Mapping[str, object] | None = None,  # noqa: A002 the same
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        importer = str((globals or {}).get("__name__", ""))
        if importer.startswith("observability") and (name == module or name.startswith(f"{module}.")):
            raise ImportError(name)
        return original(name, globals, locals, fromlist, level)

    builtins.__import__ = importing


def work() -> dict[str, Any]:
    """Return the outcome of one request and one task."""
    import httpx  # noqa: PLC0415 after the name is gone
    from celery import Celery  # noqa: PLC0415
    from fastapi import APIRouter, FastAPI  # noqa: PLC0415
    from sqlalchemy import create_engine, text  # noqa: PLC0415

    from observability import TelemetrySettings, instrument  # noqa: PLC0415
    from observability.compat.fastapi import unbuilt_routes  # noqa: PLC0415
    from observability.metrics.reference import metric_reference  # noqa: PLC0415
    from observability.testing import lifespan_client  # noqa: PLC0415
    from observability.testing.error_server import ErrorServer  # noqa: PLC0415
    from tests.servers.otlp import collecting  # noqa: PLC0415

    engine = create_engine("sqlite://")
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(204)))
    app, tasks = FastAPI(), Celery("probe", broker="memory://")

    @tasks.task
    def nothing() -> None: ...

    @app.get("/items")
    def items() -> int:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        nothing.delay()
        return client.get("http://upstream.test/").status_code

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("broken")

    router = APIRouter()
    router.get("/included")(items)
    app.include_router(router)

    with collecting() as collector, ErrorServer() as errors:
        settings = TelemetrySettings.model_validate(
            {
                "metrics_exporter": "none",
                "logs_exporter": "otlp",
                "log_format": "json",
                "otlp_traces_endpoint": f"{collector.endpoint}/v1/traces",
                "otlp_logs_endpoint": "http://127.0.0.1:9/v1/logs",
                "otlp_timeout_s": 0.5,
                "sentry_dsn": errors.dsn,
            }
        )
        telemetry = instrument(
            app,
            engines={"primary": engine},
            http_clients={"upstream": client},
            celery=tasks,
            settings=settings,
        )

        try:
            unbuilt: int | None = unbuilt_routes(app)
        except AttributeError:
            unbuilt = None

        async def call() -> tuple[int, int]:
            async with lifespan_client(app) as caller:
                return (await caller.get("/items")).json(), (await caller.get("/broken")).status_code

        status, failed = asyncio.run(call())
        spans, reports = collector.names(), len(errors.events)
    value = telemetry.registry.get_sample_value
    return {
        "status": status,
        "failed": failed,
        "spans": sorted(spans),
        "reports": reports,
        "reports_exported": value("observability_export_total", {"signal": "errors", "outcome": "exported"}),
        "requests": value(
            "http_requests_total", {"method": "GET", "status": "2xx", "code": "200", "handler": "/items"}
        ),
        "waits": value("db_client_connection_wait_time_seconds_count", {"db_client_connection_pool_name": "primary"}),
        "connects": value(
            "db_client_connection_create_time_seconds_count", {"db_client_connection_pool_name": "primary"}
        ),
        "calls": value(
            "http_client_request_duration_seconds_count", {"client": "upstream", "method": "GET", "code": "204"}
        ),
        "tasks": value("tasks_published_total", {"task": nothing.name}),
        "unbuilt_routes": unbuilt,
        "internal_errors": [
            sample.labels["where"]
            for family in telemetry.registry.collect()
            if family.name == "observability_errors"
            for sample in family.samples
        ],
        "metrics": {metric.name: metric.labels for metric in metric_reference(telemetry.registry)},
    }


if __name__ == "__main__":
    library, *names = sys.argv[1:]
    import_others(library)
    for private in names:
        if child := os.fork():
            os.waitpid(child, 0)
        else:
            remove(private) if "." in private else rename(library, private)
            print(json.dumps([private, work()]))  # noqa: T201 the result
            break
