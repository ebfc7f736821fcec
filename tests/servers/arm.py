"""An arm of the service on a real server, and a client of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from observability import TelemetrySettings
from service.app import create_app
from service.settings import Settings
from tests.servers.asgi import serving

WRITE_TOKEN = "a token for tests"
BEARER = {"Authorization": f"Bearer {WRITE_TOKEN}"}
QUIET = TelemetrySettings(metrics_exporter="none", access_log=False)


@dataclass(frozen=True)
class Arm:
    """A running arm."""

    app: FastAPI
    client: httpx.Client
    registry: CollectorRegistry


def arm_settings(techniques: object, data_dir: Path, **others: Any) -> Settings:
    """Return the settings of an arm; techniques are names, `all` or `none`."""
    return Settings(**{"techniques": techniques, "data_dir": data_dir, "write_token": WRITE_TOKEN, **others})


@contextmanager
def running_arm(settings: Settings, *, telemetry: TelemetrySettings = QUIET) -> Iterator[Arm]:
    """Yield the arm while a real server serves it."""
    registry = CollectorRegistry()
    app = create_app(settings, registry=registry, telemetry=telemetry)
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield Arm(app, client, registry)
