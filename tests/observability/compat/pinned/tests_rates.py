from fastapi.testclient import TestClient


def test_an_amount_is_converted(http: TestClient) -> None:
    assert http.get("/convert/eur", params={"amount": 3}).json() == 6.0


def test_an_unknown_currency_is_not_found(http: TestClient) -> None:
    assert http.get("/convert/xxx", params={"amount": 3}).status_code == 404


def test_an_amount_is_required(http: TestClient) -> None:
    assert http.get("/convert/eur").status_code == 422


def test_the_table_is_streamed(http: TestClient) -> None:
    assert http.get("/table").text == "0\n1\n2\n"
