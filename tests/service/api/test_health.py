from pathlib import Path

import pytest

from tests.servers.arm import arm_settings, running_arm


@pytest.mark.parametrize("techniques", ["none", "all"])
def test_a_process_with_its_flights_is_alive_and_ready(few_flights: Path, techniques: str) -> None:
    with running_arm(arm_settings(techniques, few_flights)) as arm:
        for probe, status in {"/livez": "alive", "/readyz": "ready"}.items():
            response = arm.client.get(probe)
            assert response.status_code == 200
            assert response.json() == {"status": status}
            assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("techniques", ["none", "all"])
def test_a_process_without_flights_is_alive_but_not_ready(tmp_path: Path, techniques: str) -> None:
    with running_arm(arm_settings(techniques, tmp_path)) as arm:
        assert arm.client.get("/livez").status_code == 200
        ready = arm.client.get("/readyz")
        flights = arm.client.get("/flights?limit=1")

    assert ready.status_code == 503
    assert int(ready.headers["Retry-After"]) >= 1
    [error] = ready.json()["errors"]
    assert error["name"] == "database"
    assert "flightdeck data load" in error["message"]
    assert flights.status_code == 503
    assert flights.headers["Content-Type"] == "application/problem+json"


def test_readiness_comes_with_the_flights(few_flights: Path, tmp_path: Path) -> None:
    with running_arm(arm_settings("indexes,pooling", tmp_path)) as arm:
        assert arm.client.get("/readyz").status_code == 503
        for database in few_flights.glob("*.db"):
            (tmp_path / database.name).write_bytes(database.read_bytes())
        assert arm.client.get("/readyz").status_code == 200
