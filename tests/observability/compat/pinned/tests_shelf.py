from fastapi.testclient import TestClient


def test_an_added_book_is_found(http: TestClient) -> None:
    number = http.post("/books", json={"title": "Emma"}).json()
    assert http.get(f"/books/{number}").json() == "Emma"


def test_an_unknown_book_is_not_found(http: TestClient) -> None:
    assert http.get("/books/99").status_code == 404


def test_a_title_is_required(http: TestClient) -> None:
    assert http.post("/books", json={}).status_code == 422


def test_the_openapi_document_has_the_title(http: TestClient) -> None:
    assert http.get("/openapi.json").json()["info"]["title"] == "shelf"
