"""A plugin of pytest: the client of the application under test, which is instrumented if `INSTRUMENTED` is set."""

import importlib
import os
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient


@pytest.fixture(scope="module")
def http(request: pytest.FixtureRequest) -> Iterator[TestClient]:
    application = importlib.import_module(request.module.__name__.removeprefix("tests_"))
    if not os.environ.get("INSTRUMENTED"):
        with TestClient(application.app) as client:
            yield client
        return

    from observability import instrument  # noqa: PLC0415 not installed without it
    from observability.core.settings import TelemetrySettings  # noqa: PLC0415

    settings = TelemetrySettings(metrics_exporter="none")
    telemetry = instrument(application.app, **application.DEPENDENCIES, settings=settings)
    with TestClient(application.app) as client:
        yield client
    samples = [sample for family in telemetry.registry.collect() for sample in family.samples]
    assert (
        sum(sample.value for sample in samples if sample.name == "http_requests_total")
        >= request.session.testscollected
    )
    assert [sample for sample in samples if sample.name == "observability_errors_total" and sample.value] == []
