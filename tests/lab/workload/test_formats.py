"""Every format of requests: what is sent, what is left out, and what is said about a file that is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.core.errors import BadTarget
from lab.workload.access_log import read_access_log
from lab.workload.draw import PreparedWorkload
from lab.workload.har import read_har
from lab.workload.imported import kind_of
from lab.workload.openapi import read_openapi
from lab.workload.source import checked, parsed_request, selected
from lab.workload.toml_file import read_toml
from lab.workload.workload import RequestTemplate, Workload


def written(path: Path, text: str | dict[str, Any]) -> Path:
    path.write_text(text if isinstance(text, str) else json.dumps(text), "utf-8")
    return path


# TOML


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("requests = 1", "requests: Input should be a valid list"),
        ("", "requests: Field required"),
        ("requests = []", "requests: List should have at least 1 item"),
        ("[[requests]]\npath = 'items'", r"requests.0.path: 'items' is not a path"),
        ("[[requests]]\npath = '/a b'", "is not a path"),
        ("[[requests]]\npath = '/'\nmethod = 'GE T'", "'GE T' is not a method"),
        ("[[requests]]\npath = '/'\nbody = 'x'", "requests.0.body: Extra inputs are not permitted"),
        ("[[requests]]\npath = '/'\ntext = 'x'\nform = {a = 1}", "a request has one body, not form and text"),
        ("[[requests]]\npath = '/'\nweight = 0", "requests.0.weight: Input should be greater than 0"),
        ("[[requests]]\npath = '/'\nexpect = [700]", "700 is not a status"),
        ("[[requests]]\npath = '/'\nheaders = {Host = 'x'}", "the lab sets the header Host itself"),
        ("[[requests]]\npath = '/'\nheaders = {'a b' = 'x'}", "'a b' is not the name of a header"),
        ("clients = 0\n[[requests]]\npath = '/'", "clients: Input should be greater than or equal to 1"),
        ("[values]\nq = []\n[[requests]]\npath = '/'", "values.q: List should have at least 1 item"),
        ("[[requests]]\npath = '/'\n[[requests]]\npath = '/'", "two requests are named GET /"),
        ("[[requests", "is not TOML"),
    ],
)
def test_a_wrong_toml_file_is_rejected_with_the_key(tmp_path: Path, text: str, complaint: str) -> None:
    path = written(tmp_path / "requests.toml", text)
    with pytest.raises(BadTarget, match=complaint) as raised:
        read_toml(path)
    assert str(path) in str(raised.value)


def test_files_are_beside_the_toml_file(tmp_path: Path) -> None:
    text = "csv = 'users.csv'\n[[requests]]\npath = '/'\nmethod = 'POST'\nfile = 'a.bin'"
    workload = read_toml(written(tmp_path / "requests.toml", text))
    assert (workload.csv, workload.requests[0].file) == (tmp_path / "users.csv", tmp_path / "a.bin")
    again = Workload.model_validate_json(workload.model_dump_json(by_alias=True))
    assert again == workload


# HAR


def entry(url: str, *, method: str = "GET", status: int = 200, **request: Any) -> dict[str, Any]:
    return {"request": {"method": method, "url": url, **request}, "response": {"status": status}}


def har(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"log": {"version": "1.2", "entries": list(entries)}}


def test_a_har_file_gives_the_requests_to_its_main_origin_with_their_counts(tmp_path: Path) -> None:
    headers = [
        {"name": ":authority", "value": "shop.example"},
        {"name": "Accept", "value": "text/html"},
        {"name": "Cookie", "value": "sid=hunter2"},
        {"name": "Authorization", "value": "Bearer hunter2"},
        {"name": "If-None-Match", "value": '"1"'},
    ]
    found = read_har(
        written(
            tmp_path / "shop.har",
            har(
                entry("https://shop.example/items/17?full=1", headers=headers),
                entry("https://shop.example/items/17?full=1", headers=headers, status=304),
                entry("https://cdn.example/a.js"),
                entry("wss://shop.example/live"),
                entry("https://shop.example/find?access_token=hunter2"),
                entry("https://shop.example/missing", status=404),
                entry("https://shop.example/login", method="POST", postData={"text": "user=a&password=hunter2"}),
                entry("https://shop.example/cart", method="POST", postData={"mimeType": "text/plain", "text": "{id}"}),
                entry("https://shop.example/moved", status=302),
            ),
        )
    )
    requests = {request.path: request for request in found.workload.requests}
    assert list(requests) == ["/items/17?full=1", "/missing", "/cart", "/moved"]
    item = requests["/items/17?full=1"]
    assert (item.kind, item.weight, item.headers, item.expect) == ("GET /items/*", 2, {"accept": "text/html"}, ["2xx"])
    assert (requests["/missing"].expect, requests["/moved"].expect) == (["404"], ["302"])
    assert (requests["/cart"].text, requests["/cart"].literal) == ("{id}", True)
    assert "hunter2" not in found.workload.model_dump_json()
    assert len(found.notes) == 5, found.notes


@pytest.mark.parametrize("text", ["[]", "{}", "no JSON", '{"log": {"entries": [{}]}}', '{"log": {"entries": []}}'])
def test_a_wrong_har_file_is_rejected(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadTarget, match=r"is not a HAR file|has no request to send"):
        read_har(written(tmp_path / "x.har", text))


# Access log


LOG = """\
203.0.113.9 - ann [10/Oct/2025:13:55:36 +0000] "GET /items/17 HTTP/1.1" 200 2326
203.0.113.9 - - [10/Oct/2025:13:55:37 +0000] "GET /items/17 HTTP/1.1" 304 0 "https://a.example/" "Browser 1.0"
203.0.113.9 - - [10/Oct/2025:13:55:38 +0000] "GET /items/18 HTTP/2.0" 404 12 "-" "say \\"hi\\""
203.0.113.9 - - [10/Oct/2025:13:55:39 +0000] "POST /items HTTP/1.1" 201 12
203.0.113.9 - - [10/Oct/2025:13:55:40 +0000] "GET /private HTTP/1.1" 401 12
203.0.113.9 - - [10/Oct/2025:13:55:41 +0000] "GET /broken HTTP/1.1" 502 12
203.0.113.9 - - [10/Oct/2025:13:55:42 +0000] "GET /find?token=hunter2 HTTP/1.1" 200 12
203.0.113.9 - - [10/Oct/2025:13:55:43 +0000] "\\x16\\x03\\x01" 400 0
203.0.113.9 - - [10/Oct/2025:13:55:44 +0000] "HEAD http://shop.example/health HTTP/1.1" 200 -
INFO: started
"""


def test_an_access_log_gives_what_succeeded_as_often_as_it_came(tmp_path: Path) -> None:
    found = read_access_log(written(tmp_path / "access.log", LOG))
    assert [(each.method, each.path, each.weight, each.expect) for each in found.workload.requests] == [
        ("GET", "/items/17", 2, ["2xx"]),
        ("GET", "/items/18", 1, ["2xx", "404"]),
        ("HEAD", "/health", 1, ["2xx"]),
    ]
    assert len(found.notes) == 4, found.notes
    assert "hunter2" not in "".join(found.notes)


@pytest.mark.parametrize("text", ["", "no log\n", LOG.splitlines()[3]])
def test_a_log_without_requests_is_rejected(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadTarget, match="has no request to send"):
        read_access_log(written(tmp_path / "access.log", text))


def test_kinds_beyond_twenty_are_one(tmp_path: Path) -> None:
    lines = [f'a - - [x] "GET /page-{"x" * number} HTTP/1.1" 200 1' for number in range(30) for _ in range(40 - number)]
    kinds = read_access_log(written(tmp_path / "access.log", "\n".join(lines))).workload.kinds
    assert (len(kinds), kinds[-1]) == (21, "other")


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/items/17?q=1", "GET /items/*"),
        ("/u/8b9c2f5e-1f3a-4a1b-9c3d-0123456789ab/edit", "GET /u/*/edit"),
        ("/v2/users", "GET /v2/users"),
        ("/", "GET /"),
    ],
)
def test_a_kind_has_no_identifiers(target: str, kind: str) -> None:
    assert kind_of("GET", target) == kind


# OpenAPI


def document(**paths: Any) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "servers": [{"url": "/api/"}],
        "paths": {f"/{name}": item for name, item in paths.items()},
        "components": {"parameters": {"Id": {"name": "item-id", "in": "path", "required": True, "example": 7}}},
    }


def parameter(name: str, place: str = "query", **fields: Any) -> dict[str, Any]:
    return {"name": name, "in": place, **fields}


def test_an_openapi_document_gives_its_gets_with_examples(tmp_path: Path) -> None:
    paths = {
        "items/{item-id}": {"parameters": [{"$ref": "#/components/parameters/Id"}], "get": {}, "post": {}},
        "search": {
            "get": {
                "parameters": [
                    parameter("q", required=True, examples={"a": {"value": "red shoes"}, "b": {"value": "ü"}}),
                    parameter("sort", required=True, schema={"enum": ["up", "down"]}),
                    parameter("page", schema={"default": 1}),
                    parameter("X-Tenant", "header", schema={"examples": ["one"]}),
                ]
            }
        },
        "unknown": {"get": {"parameters": [parameter("id", required=True, schema={"type": "string"})]}},
        "secret": {"get": {"parameters": [parameter("api_key", required=True, example="hunter2")]}},
    }
    found = read_openapi(str(written(tmp_path / "openapi.json", document(**paths))))
    requests = PreparedWorkload(found.workload, {}).requests(1, seed=1)
    sent = {
        next_request.compiled.path.filled(next_request.values)
        for next_request, _ in zip(requests, range(40), strict=False)
    }
    assert sent == {
        "/api/items/7",
        *(f"/api/search?q={q}&sort={sort}" for q in ("red%20shoes", "%C3%BC") for sort in ("up", "down")),
    }
    assert found.workload.kinds == ["GET /items/{item-id}", "GET /search"]
    assert len(found.notes) == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "is not an OpenAPI 3 document"),
        ('{"swagger": "2.0", "paths": {}}', "is not an OpenAPI 3 document"),
        ('{"openapi": "3.0.0"}', "is not a valid OpenAPI 3 document"),
        ('{"openapi": "3.0.0", "paths": {"/": {"get": {"parameters": [{"$ref": "#/no"}]}}}}', "is not a valid"),
        ('{"openapi": "3.0.0", "paths": {"/a": {"post": {}}}}', "has no request to send"),
        ("openapi: [", "is neither JSON nor YAML"),
    ],
)
def test_a_wrong_document_is_rejected(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadTarget, match=complaint):
        read_openapi(str(written(tmp_path / "openapi.yaml", text)))


# The command line


@pytest.mark.parametrize("text", ["GET /items/17", "/items/17", " get  /items/17 "])
def test_a_request_may_leave_out_its_method(text: str) -> None:
    request = parsed_request(text)
    assert (request.method, request.path) == ("GET", "/items/17")


@pytest.mark.parametrize("text", ["items", "", "http://127.0.0.1/items", "GET /a b c", "/ü", "GET /a\tb"])
def test_what_is_no_request_is_rejected(text: str) -> None:
    with pytest.raises(BadTarget, match="is not a request"):
        parsed_request(text)


def test_exactly_one_source_is_named(tmp_path: Path) -> None:
    for requests, openapi in (([], ""), (["/"], "openapi.json")):
        with pytest.raises(BadTarget, match="name the requests with one of --request, --requests"):
            selected(requests=requests, file=None, openapi=openapi, access_log=None)
    with pytest.raises(BadTarget, match=r"is neither a .toml nor a .har file"):
        selected(requests=[], file=tmp_path / "a.json", openapi="", access_log=None)


def test_writes_need_a_permission() -> None:
    workload = Workload(requests=[RequestTemplate(path="/"), RequestTemplate(method="POST", path="/orders")])
    with pytest.raises(BadTarget, match="POST /orders may change data: send it with --allow-writes"):
        checked(workload, [], {}, allow_writes=False)
    assert checked(workload, ["X-Tenant: one"], {}, allow_writes=True).headers == {"X-Tenant": "one"}


@pytest.mark.parametrize("header", ["no colon", ": x", "Host: a", "Authorization: Bearer hunter2", "X: ü"])
def test_a_wrong_header_is_rejected_without_its_value(header: str) -> None:
    with pytest.raises(BadTarget) as raised:
        checked(Workload(requests=[RequestTemplate(path="/")]), [header], {}, allow_writes=False)
    assert "hunter2" not in str(raised.value)
