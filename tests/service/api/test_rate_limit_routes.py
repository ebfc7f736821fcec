"""The headers of quotas, and requests that are not limited."""

from pathlib import Path

from tests.servers.arm import BEARER, arm_settings, running_arm


def test_a_write_has_the_remaining_quota_and_one_too_many_is_rejected(data_dir: Path) -> None:
    with running_arm(arm_settings("all", data_dir, write_rate_limit="2/hour", export_rate_limit="none")) as arm:
        responses = [
            arm.client.patch("/flights/1/status", json={"status": one}, headers=BEARER)
            for one in ("boarding", "nonsense", "departed")
        ]
        unknown = arm.client.patch("/flights/1/status", json={"status": "departed"})
        flight = arm.client.get("/flights/1")
        exports = [arm.client.post("/exports", json={"carrier": "ZZ"}, headers=BEARER) for _ in range(3)]

    assert [response.status_code for response in responses] == [200, 422, 429]
    assert [response.headers["RateLimit-Policy"] for response in responses] == ['"writes";q=2;w=3600'] * 3
    assert [response.headers["RateLimit"].split(";")[1] for response in responses] == ["r=1", "r=0", "r=0"]
    assert int(responses[2].headers["Retry-After"]) >= 1
    assert responses[2].json()["type"] == "urn:problem-type:flightdeck:too-many-requests"
    assert unknown.status_code == 401
    assert "RateLimit" not in unknown.headers
    assert flight.json()["status"] == "boarding"
    assert "RateLimit" not in flight.headers
    assert {response.status_code for response in exports} == {202}
    assert "RateLimit" not in exports[0].headers


def test_exports_have_a_quota_of_their_own(data_dir: Path) -> None:
    with running_arm(arm_settings("all", data_dir, export_rate_limit="1/hour")) as arm:
        responses = [arm.client.post("/exports", json={"carrier": "ZZ"}, headers=BEARER) for _ in range(2)]
        address = responses[0].headers["Location"]
        progress = [arm.client.get(address, headers=BEARER).status_code for _ in range(3)]
        write = arm.client.patch("/flights/1/status", json={"status": "boarding"}, headers=BEARER)

    assert [response.status_code for response in responses] == [202, 429]
    assert progress == [200] * 3
    assert write.status_code == 200
