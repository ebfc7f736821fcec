"""An application in this process: imported and served as uvicorn does it, so that it can be looked into."""

import gc
import importlib
import inspect
import logging.config
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any, Final

import httpx
import psutil
import uvicorn
from fastapi.routing import iter_route_contexts
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Engine
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp
from uvicorn.config import LOGGING_CONFIG

from observability.doctor.scrape import scrape
from observability.telemetry import Telemetry

START_TIMEOUT_S: Final = 60.0


class NotAnApplication(ValueError):
    """What was named cannot be imported or served."""


@dataclass
class Application:
    """An application, the middleware around it, and the spans it makes."""

    app: ASGIApp
    url: str = ""
    """Where it is served while it runs."""
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    @property
    def layers(self) -> list[object]:
        """The middleware objects, the outermost first, down to the router."""
        layers: list[object] = [self.app]
        inner = getattr(self.app, "middleware_stack", None) or getattr(self.app, "app", None)
        while inner is not None and all(inner is not layer for layer in layers):
            layers.append(inner)
            inner = getattr(inner, "middleware_stack", None) or getattr(inner, "app", None)
        return layers

    @property
    def telemetry(self) -> Telemetry | None:
        """What `instrument()` set up for it, or None."""
        return getattr(self.app, "_observability", None)

    @property
    def metrics_url(self) -> str:
        """Where its metrics are: on a port that `instrument()` or the application itself opened, else at `/metrics`.

        Only ports of this process count: on the usual one may be the metrics of somebody else.
        """
        port = self.telemetry.metrics_port if self.telemetry is not None else None
        for candidate in [port] if port else _own_ports():
            url = f"http://127.0.0.1:{candidate}/metrics"
            with httpx.Client(timeout=5) as client:
                if url != f"{self.url}/metrics" and scrape(client, url) is not None:
                    return url
        return f"{self.url}/metrics"

    @property
    def endpoints(self) -> list[Callable[..., Any]]:
        """The functions that answer requests, and those they depend on."""
        found: dict[int, Callable[..., Any]] = {}
        for route in _routes(getattr(self.app, "routes", None) or ()):
            called = [getattr(route, "endpoint", None), *_dependencies(getattr(route, "dependant", None))]
            found |= {id(function): function for function in called if callable(function)}
        return list(found.values())

    @property
    def engines(self) -> list[Engine]:
        """The SQLAlchemy engines of the process."""
        return [thing for thing in gc.get_objects() if type(thing) is Engine]

    @property
    def provider(self) -> SdkTracerProvider | None:
        """The SDK's tracer provider that the application uses, or None while it traces nothing."""
        provider: object = trace.get_tracer_provider()
        provider = getattr(provider, "current", provider)
        return provider if isinstance(provider, SdkTracerProvider) else None

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that ended since it was served."""
        return list(self.exporter.get_finished_spans())


def load(target: str) -> Application:
    """Return the application that `module:attribute` names; a function without parameters is called for it.

    uvicorn sets up its logging before it imports an application, so that is done here too.
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
    except (ImportError, AttributeError) as error:
        raise NotAnApplication(f"{target!r} cannot be imported: {error}") from error
    if inspect.isfunction(app) and not inspect.iscoroutinefunction(app):
        try:
            app = app()
        except Exception as error:
            raise NotAnApplication(f"{target!r} is a function that does not make an application: {error}") from error
    return Application(app)


@contextmanager
def served(application: Application) -> Iterator[Application]:
    """Serve the application on a free port of loopback for as long as the block lasts."""
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
                raise NotAnApplication("the application does not start; its log above says why")
            sleep(0.01)
        application.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if application.provider is not None:
            application.provider.add_span_processor(SimpleSpanProcessor(application.exporter))
        yield application
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def _own_ports() -> list[int]:
    """Return the TCP ports on which this process listens."""
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
