"""Annotations in a Grafana that responds, rejects them, or is down."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from lab.load.testing import ReceivedRequest, StubResponse, stub_service
from lab.report.annotations import Annotations, Grafana
from lab.report.observers import RunStep
from tests.lab.known_result import result
from tests.servers.port import free_port

STEP = RunStep(experiment="compression", part="techniques", title="Compression, alone")


def annotated(
    respond: Callable[[ReceivedRequest], StubResponse], *, measured: bool = True
) -> tuple[list[ReceivedRequest], list[str]]:
    """Return the requests that Grafana received, and the warnings."""
    requests: list[ReceivedRequest] = []
    warnings: list[str] = []
    moments = iter([1000.0, 1060.5, 2000.0, 2001.0])

    async def handler(request: ReceivedRequest) -> StubResponse:
        requests.append(request)
        return respond(request)

    async def run() -> None:
        async with stub_service(handler) as url:
            grafana = Grafana(url=url, token="glsa_1")
            annotations = Annotations(grafana, clock=lambda: next(moments), say=warnings.append)
            for _ in range(2):
                await annotations.on_start(STEP)
                await annotations.on_end(STEP, result().techniques["compression"] if measured else None)

    asyncio.run(run())
    return requests, warnings


def body(request: ReceivedRequest) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(request.body)
    return parsed


def test_an_experiment_is_a_region_with_tags_and_its_effect() -> None:
    requests, warnings = annotated(lambda _: StubResponse(body=b'{"id": 7, "message": "Annotation added"}'))
    started, ended = requests[:2]
    assert (started.method, started.target) == ("POST", "/api/annotations")
    assert started.headers["authorization"] == "Bearer glsa_1"
    assert body(started) == {
        "time": 1_000_000,
        "tags": ["flightdeck", "lab", "compression"],
        "text": "Compression, alone: in progress",
    }
    assert (ended.method, ended.target) == ("PATCH", "/api/annotations/7")
    assert body(ended)["timeEnd"] == 1_060_500
    assert "Compression, alone: helps. Compression: 90 % fewer bytes" in body(ended)["text"]
    assert warnings == []


def test_an_experiment_that_measured_nothing_says_so() -> None:
    requests, _ = annotated(lambda _: StubResponse(body=b'{"id": 7}'), measured=False)
    assert body(requests[1])["text"] == "Compression, alone: not measured"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (StubResponse(status=401), "status 401"),
        (StubResponse(status=500), "status 500"),
        (StubResponse(body=b"<html>"), "JSONDecodeError"),
    ],
    ids=["a wrong token", "a failure", "something else"],
)
def test_a_grafana_that_rejects_annotations_causes_one_warning(response: StubResponse, reason: str) -> None:
    requests, warnings = annotated(lambda _: response)
    assert [request.method for request in requests] == ["POST", "POST"]  # nothing was opened, so nothing is closed
    assert len(warnings) == 1
    assert reason in warnings[0]
    assert "glsa_1" not in warnings[0]


def test_a_response_without_an_annotation_opens_no_region() -> None:
    requests, warnings = annotated(lambda _: StubResponse(body=b"[]"))
    assert [request.method for request in requests] == ["POST", "POST"]
    assert warnings == []


def test_a_grafana_that_is_down_causes_one_warning() -> None:
    warnings: list[str] = []
    grafana = Grafana(url=f"http://127.0.0.1:{free_port()}")
    annotations = Annotations(grafana, clock=lambda: 1.0, say=warnings.append)
    for _ in range(2):
        asyncio.run(annotations.on_start(STEP))
        asyncio.run(annotations.on_end(STEP, None))
    assert len(warnings) == 1
    assert warnings[0].startswith("no annotations in Grafana at 127.0.0.1: ConnectError")


def test_grafana_is_configured_by_the_environment() -> None:
    assert Grafana.from_environ({}) is None
    environ = {"GRAFANA_URL": "http://localhost:3000/", "GRAFANA_TOKEN": "t"}
    assert Grafana.from_environ(environ) == Grafana(url="http://localhost:3000", token="t")
