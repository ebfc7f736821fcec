"""Headers of every response, and those of a draining process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.arm import BEARER, Arm, arm_settings, running_arm


@pytest.fixture(scope="module", params=["none", "all"])
def arm(request: pytest.FixtureRequest, few_flights: Path) -> Iterator[Arm]:
    with running_arm(arm_settings(request.param, few_flights)) as running:
        yield running


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/airlines", "/flights?limit=1", "/nowhere", "/flights?limit=0", "/docs"]
)
def test_responses_have_nosniff_and_no_referrer(arm: Arm, path: str) -> None:
    response = arm.client.get(path)

    assert response.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert response.headers.get_list("Referrer-Policy") == ["no-referrer"]


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_every_page_has_one_policy_for_what_it_may_load(arm: Arm, path: str) -> None:
    response = arm.client.get(path, headers={"Accept": "text/html"})
    [policy] = response.headers.get_list("Content-Security-Policy")

    assert response.headers["Content-Type"].startswith("text/html")
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PATCH"])
def test_no_other_origin_is_let_in(arm: Arm, method: str) -> None:
    preflight = {"Origin": "https://example.org", "Access-Control-Request-Method": "PATCH"}
    response = arm.client.request(
        method, "/flights/1/status" if method != "GET" else "/flights/1", headers=preflight | BEARER
    )

    assert not [name for name in response.headers if name.lower().startswith("access-control")]
    assert (response.status_code, method) in {(200, "GET"), (405, "OPTIONS"), (415, "PATCH")}


def test_a_draining_process_is_not_ready_and_still_serves(few_flights: Path) -> None:
    with running_arm(arm_settings("all", few_flights)) as arm:
        before = [arm.client.get(path) for path in ("/readyz", "/airlines", "/airlines")]
        arm.app.state.shutdown.begin()
        ready, alive, board = (arm.client.get(path) for path in ("/readyz", "/livez", "/airlines"))

    assert [response.status_code for response in before] == [200] * 3
    assert not any(response.headers.get("Connection") == "close" for response in before)
    assert ready.status_code == 503
    assert ready.json()["errors"][0]["name"] == "process"
    assert (alive.status_code, board.status_code) == (200, 200)
    assert {response.headers["Connection"] for response in (ready, alive, board)} == {"close"}
