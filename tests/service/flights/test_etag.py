"""Changes that are meant for one version of a flight."""

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
def test_a_version_is_expected_if_a_strong_validator_names_it(if_match: Sequence[str] | None, expected: bool) -> None:
    assert is_expected(flight_etag(7, 3), if_match) is expected


@pytest.fixture(params=["none", "all"])
def arm(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[Arm]:
    with running_arm(arm_settings(request.param, data_dir)) as running:
        yield running


def update(arm: Arm, etag: str | None, **body: object) -> httpx.Response:
    headers = BEARER | ({"If-Match": etag} if etag is not None else {})
    return arm.client.patch("/flights/1/status", json=body, headers=headers)


def test_a_change_of_the_version_that_was_read_is_made_and_a_second_one_is_refused(arm: Arm) -> None:
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


def test_of_many_changes_of_the_same_version_one_is_made(arm: Arm) -> None:
    etag = arm.client.get("/flights/1").headers["ETag"]
    with ThreadPoolExecutor(8) as clients:
        delays = range(16)
        answers = list(
            clients.map(lambda delay: update(arm, etag, status="departed", departure_delay_min=delay), delays)
        )

    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 15]
    [made] = [answer.json() for answer in answers if answer.status_code == 200]
    assert arm.client.get("/flights/1").json() == made
    assert made["version"] == 2
