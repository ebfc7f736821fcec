"""Comparisons of running services: invalid input is rejected before the measurement."""

import asyncio

import pytest

from lab.compare import RemoteService, parsed_request
from lab.core.errors import BadTarget, LabError
from lab.core.snapshot import Snapshot
from lab.load.testing import ReceivedRequest, StubResponse, stub_service


def metrics_of(page: bytes, *, status: int = 200) -> Snapshot:
    """Return the metrics of a service with this metrics page."""

    async def handler(_: ReceivedRequest) -> StubResponse:
        return StubResponse(status=status, body=page)

    async def read() -> Snapshot:
        async with stub_service(handler) as url:
            return await RemoteService(name="A", url=url, metrics_url=f"{url}/metrics").snapshot()

    return asyncio.run(read())


def test_the_metrics_of_a_service_are_read_from_their_url() -> None:
    assert metrics_of(b"process_cpu_seconds_total 1.5\n").total("process_cpu_seconds_total") == 1.5


@pytest.mark.parametrize(
    ("page", "status", "complaint"),
    [(b"<!doctype html><p>documentation", 200, "not in the Prometheus text format"), (b"", 404, "404")],
    ids=["an HTML page", "no page"],
)
def test_a_page_without_metrics_is_rejected_with_its_url(page: bytes, status: int, complaint: str) -> None:
    with pytest.raises(LabError, match=rf"no metrics at http://127\.0\.0\.1:\d+/metrics: .*{complaint}"):
        metrics_of(page, status=status)


@pytest.mark.parametrize("text", ["GET /items/17", "/items/17", " get  /items/17 "])
def test_a_request_may_leave_out_its_method(text: str) -> None:
    assert parsed_request(text) == ("GET", "/items/17")


@pytest.mark.parametrize("text", ["POST /items", "items", "", "http://127.0.0.1/items"])
def test_a_request_that_cannot_be_repeated_is_rejected(text: str) -> None:
    with pytest.raises(BadTarget, match="a request looks like"):
        parsed_request(text)
