from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.arm import Arm, arm_settings, running_arm


@pytest.fixture(scope="module", params=["none", "all"])
def arm(request: pytest.FixtureRequest, sparse_flights: Path) -> Iterator[Arm]:
    with running_arm(arm_settings(request.param, sparse_flights)) as running:
        yield running


VARYING = {
    "date",
    "server-timing",
    "x-process-time",
    "x-trace-id",
    "x-request-id",
    "cache-status",
    "age",
    "content-length",
}


@pytest.mark.parametrize(
    "address", ["/", "/livez", "/flights?limit=2", "/flights/10", "/airports/LGA/departures?date=2013-01-01", "/nope"]
)
def test_head_has_the_headers_of_get_and_no_body(arm: Arm, address: str) -> None:
    got, head = arm.client.get(address), arm.client.head(address)

    def lasting(headers: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name not in VARYING}

    assert head.status_code == got.status_code
    assert lasting(dict(head.headers)) == lasting(dict(got.headers))
    assert head.content == b""
    assert got.content != b""


def test_the_connection_serves_on_after_a_head(arm: Arm) -> None:
    for _ in range(3):
        assert arm.client.head("/airports").status_code == 200
        assert len(arm.client.get("/airlines").json()["items"]) == 16


def test_head_is_counted_as_head(arm: Arm) -> None:
    arm.client.head("/livez")

    methods = {
        sample.labels["method"]
        for metric in arm.registry.collect()
        if metric.name == "http_requests"
        for sample in metric.samples
        if sample.labels["handler"] == "/livez"
    }
    assert "HEAD" in methods
