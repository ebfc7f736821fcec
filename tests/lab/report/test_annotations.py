"""Annotations, told to a Grafana that is there, refuses, hangs up, or is gone."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from lab.load.testing import ReceivedRequest, StubResponse, stub_service
from lab.report.annotations import Annotations, Grafana
from lab.report.observers import RunStep
from tests.lab.known_result import result
from tests.servers.executable import free_port

STEP = RunStep(experiment="compression", part="techniques", title="Compression, alone")


def annotated(
    answer: Callable[[ReceivedRequest], StubResponse], *, measured: bool = True
) -> tuple[list[ReceivedRequest], list[str]]:
    """Return what Grafana was asked, and what the person was told."""
    asked: list[ReceivedRequest] = []
    said: list[str] = []
    moments = iter([1000.0, 1060.5, 2000.0, 2001.0])

    async def handler(request: ReceivedRequest) -> StubResponse:
        asked.append(request)
        return answer(request)

    async def run() -> None:
        async with stub_service(handler) as url:
            grafana = Grafana(url=url, token="glsa_1")
            annotations = Annotations(grafana, clock=lambda: next(moments), say=said.append)
            for _ in range(2):
                await annotations.on_start(STEP)
                await annotations.on_end(STEP, result().techniques["compression"] if measured else None)

    asyncio.run(run())
    return asked, said


def body(request: ReceivedRequest) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(request.body)
    return parsed


def test_an_experiment_is_a_region_with_tags_and_its_effect() -> None:
    asked, said = annotated(lambda _: StubResponse(body=b'{"id": 7, "message": "Annotation added"}'))
    begun, ended = asked[:2]
    assert (begun.method, begun.target) == ("POST", "/api/annotations")
    assert begun.headers["authorization"] == "Bearer glsa_1"
    assert body(begun) == {
        "time": 1_000_000,
        "tags": ["flightdeck", "lab", "compression"],
        "text": "Compression, alone: being measured",
    }
    assert (ended.method, ended.target) == ("PATCH", "/api/annotations/7")
    assert body(ended)["timeEnd"] == 1_060_500
    assert "Compression, alone: helps. bytes on the wire 10.0" in body(ended)["text"]
    assert said == []


def test_an_experiment_that_measured_nothing_says_so() -> None:
    asked, _ = annotated(lambda _: StubResponse(body=b'{"id": 7}'), measured=False)
    assert body(asked[1])["text"] == "Compression, alone: not measured"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (StubResponse(status=401), "answers 401"),
        (StubResponse(status=500), "answers 500"),
        (StubResponse(body=b"<html>"), "JSONDecodeError"),
    ],
    ids=["a wrong token", "a failure", "something else"],
)
def test_a_grafana_that_refuses_is_said_once_and_ends_nothing(answer: StubResponse, why: str) -> None:
    asked, said = annotated(lambda _: answer)
    assert [request.method for request in asked] == ["POST", "POST"]  # nothing was opened, so nothing is closed
    assert len(said) == 1
    assert why in said[0]
    assert "glsa_1" not in said[0]


def test_an_answer_that_is_no_annotation_opens_nothing() -> None:
    asked, said = annotated(lambda _: StubResponse(body=b"[]"))
    assert [request.method for request in asked] == ["POST", "POST"]
    assert said == []


def test_a_grafana_that_is_gone_is_said_once_and_ends_nothing() -> None:
    said: list[str] = []
    grafana = Grafana(url=f"http://127.0.0.1:{free_port()}")
    annotations = Annotations(grafana, clock=lambda: 1.0, say=said.append)
    for _ in range(2):
        asyncio.run(annotations.on_start(STEP))
        asyncio.run(annotations.on_end(STEP, None))
    assert len(said) == 1
    assert said[0].startswith("Grafana at 127.0.0.1 is not annotated: ConnectError")


def test_grafana_is_named_by_the_environment_or_not_there() -> None:
    assert Grafana.from_environ({}) is None
    environ = {"GRAFANA_URL": "http://localhost:3000/", "GRAFANA_TOKEN": "t"}
    assert Grafana.from_environ(environ) == Grafana(url="http://localhost:3000", token="t")
