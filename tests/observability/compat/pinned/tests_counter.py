from fastapi.testclient import TestClient


def test_a_request_adds_one(http: TestClient) -> None:
    before = http.get("/counters/a").json()
    assert http.post("/counters/a").json() == before + 1
    assert http.get("/counters/a").json() == before + 1


def test_an_unknown_counter_is_zero(http: TestClient) -> None:
    assert http.get("/counters/none").json() == 0


def test_an_unknown_path_is_not_found(http: TestClient) -> None:
    assert http.get("/nowhere").status_code == 404
