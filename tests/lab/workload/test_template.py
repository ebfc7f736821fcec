"""Places are filled where they are, with what is drawn, and encoded for where they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.core.errors import BadTarget
from lab.workload.template import CompiledRequest, Scope, compiled
from lab.workload.workload import RequestTemplate

ENVIRON = {"API_KEY": "k/1 2", "BROKEN": "a\r\nb"}


def template(*, common: dict[str, str] | None = None, **fields: Any) -> CompiledRequest:
    request = RequestTemplate.model_validate({"path": "/", **fields})
    scope = Scope(where="the request", names=frozenset({"q", "id", "token"}), environ=ENVIRON)
    return compiled(request, scope, common or {})


def headers(request: CompiledRequest, **values: str) -> dict[str, str]:
    return {name: text.filled(values) for name, text in request.headers}


def test_a_value_in_a_path_is_percent_encoded() -> None:
    found = template(path="/items/{id}?q={q}&k=${API_KEY}").path.filled({"id": 7, "q": "ü&/ x"})
    assert found == "/items/7?q=%C3%BC%26%2F%20x&k=k%2F1%202"


def test_a_value_in_a_header_cannot_end_it() -> None:
    request = template(headers={"X-Query": "{q}"})
    assert headers(request, q="a\r\nX-Other: 1") == {"x-query": "a%0D%0AX-Other%3A%201"}


def test_a_requests_header_replaces_the_common_one() -> None:
    request = template(headers={"accept": "text/csv"}, common={"Accept": "*/*", "Authorization": "Bearer {token}"})
    assert headers(request, token="t") == {"accept": "text/csv", "authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("fields", "body", "content_type"),
    [
        ({"json": {"id": "{id}", "all": ["for {q}", 1.5]}}, b'{"id":7,"all":["for a b",1.5]}', "application/json"),
        ({"form": {"q": "{q}&", "n": 1, "yes": True}}, b"q=a+b%26&n=1&yes=true", "application/x-www-form-urlencoded"),
        ({"text": '{"id": {id}, "x": {unknown}}'}, b'{"id": 7, "x": {unknown}}', "application/json"),
        ({"text": "plain {q}"}, b"plain a b", "text/plain; charset=utf-8"),
        ({"text": "of {q} ${API_KEY}", "literal": True}, b"of {q} ${API_KEY}", "text/plain; charset=utf-8"),
    ],
    ids=["json", "form", "text that is JSON", "text", "literal"],
)  # fmt: skip
def test_a_body(fields: dict[str, Any], body: bytes, content_type: str) -> None:
    request = template(method="POST", **fields)
    assert request.body.filled({"id": 7, "q": "a b"}) == body
    assert headers(request)["content-type"] == content_type


def test_a_file_is_sent_as_it_is_and_in_a_multipart_form(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"\x89PNG")
    alone = template(method="POST", file=tmp_path / "one.png")
    assert (alone.body.filled({}), headers(alone)) == (b"\x89PNG", {"content-type": "image/png"})
    form = template(method="POST", multipart={"title": "{q}", "photo": {"file": tmp_path / "one.png"}})
    body, content_type = form.body.filled({"q": "a b"}), headers(form)["content-type"]
    boundary = content_type.partition("boundary=")[2].encode()
    assert body.count(b"--" + boundary) == 3
    assert b'name="title"\r\n\r\na b\r\n' in body
    assert b'filename="one.png"' in body


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"path": "/{unknown}"}, "no value named unknown; there are: id, q, token"),
        ({"headers": {"X-Key": "${MISSING}"}}, "set MISSING in the environment"),
        ({"headers": {"X-Key": "${BROKEN}"}}, "the value of BROKEN has characters"),
        ({"json": {"password": "hunter2"}}, "the value of password has to come from the environment"),
        ({"file": "nowhere.bin"}, "nowhere.bin: No such file"),
    ],
)
def test_what_cannot_be_sent_is_named(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadTarget, match=complaint) as raised:
        template(**fields)
    assert "hunter2" not in str(raised.value)
    assert str(raised.value).startswith("the request: ")


def test_a_body_without_places_is_built_once() -> None:
    body = template(method="POST", json={"a": 1}).body
    assert body.filled({}) is body.filled({})
    assert json.loads(body.filled({})) == {"a": 1}
