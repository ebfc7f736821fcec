"""An application in this process: imported and served as uvicorn does it, so that it can be inspected."""

import gc
import importlib
import inspect
import logging.config
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic, perf_counter, sleep
from typing import Any, Final

import httpx
import psutil
import uvicorn
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Engine
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp
from uvicorn.config import LOGGING_CONFIG

from observability.compat.fastapi import iter_route_contexts, unbuilt_routes
from observability.doctor.layers import layers
from observability.doctor.scrape import NoMetrics, scrape
from observability.instrument import TELEMETRY
from observability.request.route_table import build_route_contexts
from observability.telemetry import Telemetry

START_TIMEOUT_S: Final = 60.0


class NotAnApplication(ValueError):
    """The target cannot be imported or served."""


@dataclass
class Application:
    app: ASGIApp
    url: str = ""
    """While it is served."""
    unbuilt_routes: int | None = None
    """Number of routes that were not built when it was ready; None if FastAPI does not show that."""
    build_time_s: float = 0.0
    """How long they took to build; part of the first request otherwise."""
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    @property
    def layers(self) -> list[object]:
        """The middleware objects, the outermost first, the router and what it mounts."""
        return layers(self.app)

    @property
    def telemetry(self) -> Telemetry | None:
        return getattr(self.app, TELEMETRY, None)

    @property
    def metrics_url(self) -> str:
        """The URL of its metrics: on a port of `instrument()` or of the application itself, else `/metrics`.

        Only ports of this process are tried: another process may serve metrics on the default port.
        """
        port = self.telemetry.metrics_port if self.telemetry is not None else None
        for candidate in [port] if port else _own_ports():
            url = f"http://127.0.0.1:{candidate}/metrics"
            with httpx.Client(timeout=5) as client, suppress(NoMetrics):
                if url != f"{self.url}/metrics" and scrape(client, url):
                    return url
        return f"{self.url}/metrics"

    @property
    def endpoints(self) -> list[Callable[..., Any]]:
        """The path operation functions and their dependencies."""
        functions: dict[int, Callable[..., Any]] = {}
        for route in _routes(getattr(self.app, "routes", None) or ()):
            called = [getattr(route, "endpoint", None), *_dependencies(getattr(route, "dependant", None))]
            functions |= {id(function): function for function in called if callable(function)}
        return list(functions.values())

    @property
    def engines(self) -> list[Engine]:
        return [thing for thing in gc.get_objects() if type(thing) is Engine]

    @property
    def provider(self) -> SdkTracerProvider | None:
        """The SDK's tracer provider that the application uses, or None without tracing."""
        provider: object = trace.get_tracer_provider()
        provider = getattr(provider, "current", provider)
        return provider if isinstance(provider, SdkTracerProvider) else None

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


def load(target: str) -> Application:
    """Return the application `module:attribute`; a function without parameters is called.

    Logging is configured before, as uvicorn does.
    """
    module_name, separator, attribute = target.partition(":")
    if not separator or not attribute:
        raise NotAnApplication(f"{target!r} is neither a URL nor module:application")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    logging.config.dictConfig(LOGGING_CONFIG)
    try:
        app: Any = importlib.import_module(module_name)
        for name in attribute.split("."):
            app = getattr(app, name)
    except (Exception, SystemExit) as error:
        raise NotAnApplication(f"{target!r} cannot be imported: {_cause(error)}") from error
    if inspect.isfunction(app) and not inspect.iscoroutinefunction(app):
        try:
            app = app()
        except (Exception, SystemExit) as error:
            raise NotAnApplication(
                f"{target!r} is a function that does not return an application: {_cause(error)}"
            ) from error
    if not callable(app) or isinstance(app, type):
        raise NotAnApplication(f"{target!r} is no application but {app!r:.80}")
    return Application(app)


@contextmanager
def served(application: Application) -> Iterator[Application]:
    """Serve the application on a free port of loopback during the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application.app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
    thread = Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        deadline = monotonic() + START_TIMEOUT_S
        while not server.started:
            if not thread.is_alive() or monotonic() > deadline:
                raise NotAnApplication("the application does not start; see its log above")
            sleep(0.01)
        application.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with suppress(AttributeError):
            application.unbuilt_routes = unbuilt_routes(application.app)
        started = perf_counter()
        build_route_contexts(application.app)
        application.build_time_s = perf_counter() - started
        if application.provider is not None:
            application.provider.add_span_processor(SimpleSpanProcessor(application.exporter))
        yield application
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def _cause(error: BaseException) -> str:
    """Return the type and message of an error, and the traceback if other code than this module raised it."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not _is_machinery(one.filename)]
    if not frames:
        return str(error) or type(error).__name__
    shown = "".join(traceback.format_list(frames)).rstrip()
    return f"{type(error).__name__}: {error}\n{shown}"


def _is_machinery(filename: str) -> bool:
    return filename in {__file__, importlib.__file__} or filename.startswith("<frozen importlib")


def _own_ports() -> list[int]:
    connections = psutil.Process().net_connections("tcp")
    return sorted({one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN})


def _routes(routes: Any) -> Iterator[BaseRoute]:
    for context in iter_route_contexts(routes):
        route = context.original_route
        yield route
        if isinstance(route, Mount):
            yield from _routes(getattr(route.app, "routes", None) or ())


def _dependencies(dependant: Any) -> Iterator[object]:
    for dependency in getattr(dependant, "dependencies", ()):
        yield dependency.call
        yield from _dependencies(dependency)
