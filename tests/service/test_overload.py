"""More requests than connections: some are told to come back, none hangs, none is lost."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.servers.arm import arm_settings, running_arm

CLIENTS = 16


def test_a_request_that_gets_no_connection_in_time_is_told_when_to_come_back(few_flights: Path) -> None:
    settings = arm_settings("pooling,timeouts", few_flights, pool_size=1, pool_max_overflow=0, pool_timeout_s=0.05)
    with running_arm(settings) as arm, ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda _: arm.client.get("/flights?origin=JFK"), range(CLIENTS)))
        afterwards = [arm.client.get("/flights/1").status_code for _ in range(5)]

    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in refused:
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:problem-type:flightdeck:pool-exhausted"
        assert "all 1 and 0 overflow are checked out" in answer.json()["detail"]
    assert afterwards == [200] * 5
