"""Conditional updates: `If-Match` names the version to change."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.flights.etag import flight_etag, is_expected
from tests.servers.arm import BEARER, Arm, arm_settings, running_arm


@pytest.mark.parametrize(
    ("if_match", "expected"),
    [
        (None, True),
        (["*"], True),
        (['"7.3"'], True),
        (['"7.2", "7.3"'], True),
        (['"7.2"', '"7.3"'], True),
        (['"7.3-zstd"'], True),
        (['"7.2"'], False),
        (['W/"7.3"'], False),
        (['"17.3"'], False),
        (["7.3"], False),
        (['"7.3'], False),
        ([""], False),
        (["\x00\xff"], False),
    ],
)
def test_if_match_compares_strong_validators(if_match: Sequence[str] | None, expected: bool) -> None:
    assert is_expected(flight_etag(7, 3), if_match) is expected


@pytest.fixture(params=["none", "all"])
def arm(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[Arm]:
    with running_arm(arm_settings(request.param, data_dir)) as running:
        yield running


def update(arm: Arm, etag: str | None, **body: object) -> httpx.Response:
    headers = BEARER | ({"If-Match": etag} if etag is not None else {})
    return arm.client.patch("/flights/1/status", json=body, headers=headers)


def test_an_update_of_the_version_that_was_read_succeeds_once(arm: Arm) -> None:
    read = arm.client.get("/flights/1", headers={"Accept-Encoding": "zstd"})
    made = update(arm, read.headers["ETag"], status="boarding")
    late = update(arm, read.headers["ETag"], status="cancelled")
    again = update(arm, late.headers["ETag"], status="departed")

    assert (made.status_code, late.status_code, again.status_code) == (200, 412, 200)
    assert (
        made.headers["ETag"] == late.headers["ETag"] == arm.client.get("/flights/1").headers["ETag"].replace(".3", ".2")
    )
    assert late.json()["type"] == "urn:problem-type:flightdeck:version-mismatch"
    assert arm.client.get("/flights/1").json()["status"] == "departed"


def test_of_concurrent_updates_of_one_version_one_succeeds(arm: Arm) -> None:
    etag = arm.client.get("/flights/1").headers["ETag"]
    with ThreadPoolExecutor(8) as clients:
        delays = range(16)
        responses = list(
            clients.map(lambda delay: update(arm, etag, status="departed", departure_delay_min=delay), delays)
        )

    assert sorted(response.status_code for response in responses) == [200, *[412] * 15]
    [made] = [response.json() for response in responses if response.status_code == 200]
    assert arm.client.get("/flights/1").json() == made
    assert made["version"] == 2
