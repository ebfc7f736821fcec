"""Authorisation: two tokens are valid during rotation."""

from pathlib import Path

import httpx
import pytest

from service.settings import ConfigurationError, Settings
from tests.servers.arm import Arm, arm_settings, running_arm

TOKENS = {"write_token": "new token", "write_token_previous": "old token"}


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def update(arm: Arm, token: str) -> httpx.Response:
    return arm.client.patch("/flights/1/status", json={"status": "boarding"}, headers=bearing(token))


def test_both_tokens_are_taken_while_both_are_configured(data_dir: Path) -> None:
    with running_arm(arm_settings("indexes", data_dir, **TOKENS)) as arm:
        statuses = [update(arm, token).status_code for token in ("new token", "old token", "older token", "new toke")]
    with running_arm(arm_settings("indexes", data_dir, write_token="new token")) as arm:
        afterwards = [update(arm, token).status_code for token in ("new token", "old token")]

    assert statuses == [200, 200, 401, 401]
    assert afterwards == [200, 401]


def test_a_previous_token_alone_does_not_enable_writes(data_dir: Path) -> None:
    with running_arm(arm_settings("indexes", data_dir, write_token="", write_token_previous="old token")) as arm:
        assert update(arm, "old token").status_code == 403


def test_exports_stay_with_their_owner_while_the_token_changes(data_dir: Path) -> None:
    key = {"Idempotency-Key": "mine"}
    with running_arm(arm_settings("indexes", data_dir, write_token="old token")) as arm:
        before = arm.client.post("/exports", json={"carrier": "ZZ"}, headers=bearing("old token") | key)
    with running_arm(arm_settings("indexes", data_dir, **TOKENS)) as arm:
        address = before.headers["Location"]
        seen = [arm.client.get(address, headers=bearing(token)).status_code for token in ("new token", "old token")]
        again = arm.client.post("/exports", json={"carrier": "ZZ"}, headers=bearing("new token") | key)
        during = arm.client.post("/exports", json={"carrier": "ZZ"}, headers=bearing("old token"))
    with running_arm(arm_settings("indexes", data_dir, write_token="new token")) as arm:
        afterwards = arm.client.get(during.headers["Location"], headers=bearing("new token")).status_code

    assert seen == [200, 200]
    assert (again.status_code, again.json()["id"]) == (200, before.json()["id"])
    assert afterwards == 200


def test_a_rate_that_can_not_be_read_stops_the_start_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRITE_RATE_LIMIT", "often")
    with pytest.raises(
        ConfigurationError, match="WRITE_RATE_LIMIT: a rate limit is a number of requests per time unit"
    ):
        Settings.from_environ()
