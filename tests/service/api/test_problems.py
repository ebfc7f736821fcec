"""Every rejection is a problem document with what is allowed, and never a 500."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service import errors
from service.errors import ServiceError
from tests.servers.arm import BEARER, Arm, arm_settings, running_arm

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module", params=["none", "all"])
def arm(request: pytest.FixtureRequest, sparse_flights: Path) -> Iterator[Arm]:
    with running_arm(arm_settings(request.param, sparse_flights, max_body_bytes=1024)) as running:
        yield running


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem document of a response that must be one."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert {"type", "title", "detail", "instance"} <= set(document)
    return document


@pytest.mark.parametrize(
    ("address", "name", "allowed"),
    [
        ("/flights?limit=501", "limit", "at most 500"),
        ("/flights?limit=0", "limit", "at least 1"),
        ("/flights?limit=99999999999999999999999", "limit", "at most 500"),
        ("/flights?limit=ten", "limit", None),
        ("/flights?limit=", "limit", None),
        ("/flights?origin=jfk", "origin", "^[A-Z0-9]{3}$"),
        ("/flights?origin=J%00K", "origin", "^[A-Z0-9]{3}$"),
        ("/flights?origin=JFK%0A", "origin", "^[A-Z0-9]{3}$"),
        ("/flights?origin=%F0%9F%9B%AB", "origin", "^[A-Z0-9]{3}$"),
        ("/flights?carrier=", "carrier", "^[A-Z0-9]{2}$"),
        ("/flights?date_from=2013-02-30", "date_from", "YYYY-MM-DD"),
        ("/flights?date_from=1357000000", "date_from", "YYYY-MM-DD"),
        ("/flights?date_to=20130101", "date_to", "YYYY-MM-DD"),
        ("/flights?date_to=2013-W01-1", "date_to", "YYYY-MM-DD"),
        ("/flights?date_to=2013-1-1", "date_to", "YYYY-MM-DD"),
        ("/flights?date_to=%D9%A2%D9%A0%D9%A1%D9%A3-01-01", "date_to", "YYYY-MM-DD"),
        ("/flights?date_from=2013-01-02&date_to=2013-01-01", "", "date_from on or before date_to"),
        ("/flights?min_delay_min=99999", "min_delay_min", "at most 10080"),
        ("/flights?status=late", "status", "'scheduled', 'boarding', 'departed', 'arrived', 'diverted' or 'cancelled'"),
        ("/flights?sort=id", "sort", "scheduled_departure"),
        ("/flights?cursor=%22", "cursor", "unchanged"),
        ("/flights?cursor=" + "A" * 300, "cursor", "at most 200 characters"),
        ("/flights?fields=id,password", "fields", "id,date,carrier"),
        ("/flights?fields=", "fields", "id,date,carrier"),
        ("/flights?page=2", "page", "origin, destination, carrier"),
        ("/flights?limit=1&limit=2", "limit", "one value"),
        ("/airlines?x=1", "x", "no parameters"),
        ("/airports/JFK/departures", "date", None),
        ("/airports/JFK/departures?date=today", "date", "YYYY-MM-DD"),
        ("/airports/JFK/nearest?limit=101", "limit", "at most 100"),
        ("/reports/delays", "by", None),
        ("/reports/delays?by=airline", "by", "'carrier', 'month', 'hour' or 'destination'"),
        ("/reports/delays?by=hour&month=2013-13", "month", "(0[1-9]|1[0-2])"),
        ("/reports/routes?limit=-1", "limit", "at least 1"),
    ],
)
def test_a_bad_parameter_is_named_with_what_is_allowed(arm: Arm, address: str, name: str, allowed: str | None) -> None:
    document = problem(arm.client.get(address), 422)

    [error] = document["errors"]
    assert error["in"] == "query"
    assert error["name"] == name
    assert error["message"]
    assert allowed is None or allowed in error["allowed"]


@pytest.mark.parametrize(
    ("address", "slug"),
    [
        ("/flights/0", "unknown-flight"),
        ("/flights/-1", "unknown-flight"),
        ("/flights/2147483648", "unknown-flight"),
        ("/flights/9223372036854775808", "unknown-flight"),
        ("/airports/ZZZ", "unknown-airport"),
        ("/airports/NOWHERE", "unknown-airport"),
        ("/airports/%ZZ", "unknown-airport"),
        ("/airports/%FF%FE%00", "unknown-airport"),
        ("/airports/" + "A" * 5000, "unknown-airport"),
        ("/airports/ZZZ/departures?date=2013-01-01", "unknown-airport"),
        ("/airports/ZZZ/nearest", "unknown-airport"),
    ],
    ids=lambda value: value[:40],
)
def test_an_unknown_path_is_a_problem_with_a_hint(arm: Arm, address: str, slug: str) -> None:
    document = problem(arm.client.get(address), 404)

    assert document["type"] == f"urn:problem-type:flightdeck:{slug}"
    assert "GET /" in document["hint"]
    assert len(json.dumps(document)) < 1000


@pytest.mark.parametrize("address", ["/nope", "/flights/", "/airports/JFK/", "/flights/1/status/x", "/%2e%2e/"])
def test_an_address_without_a_route_is_a_problem_too(arm: Arm, address: str) -> None:
    assert problem(arm.client.get(address), 404)["title"] == "Not Found"


@pytest.mark.parametrize(
    ("method", "address", "allow"),
    [
        ("POST", "/flights", "GET, HEAD"),
        ("DELETE", "/airports/JFK", "GET, HEAD"),
        ("GET", "/flights/1/status", "PATCH"),
        ("PURGE", "/", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_a_problem_with_the_allowed_ones(arm: Arm, method: str, address: str, allow: str) -> None:
    response = arm.client.request(method, address)

    problem(response, 405)
    assert response.headers["Allow"] == allow


@pytest.mark.parametrize("coding", ["gzip", "GZip", "br, identity", "identity\xa0"])
def test_a_coded_body_is_rejected_with_the_name_of_its_coding(arm: Arm, coding: str) -> None:
    named = {**BEARER, **JSON, "Content-Encoding": coding}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in named.items()]
    response = arm.client.patch("/flights/10/status", content=b"{}", headers=headers)

    assert response.status_code == 415
    assert repr(coding) in response.json()["detail"]
    assert response.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("coding", ["identity", "IDENTITY", "", "identity, Identity"])
def test_an_uncoded_body_may_say_so(arm: Arm, coding: str) -> None:
    headers = {**BEARER, **JSON, "Content-Encoding": coding}
    assert arm.client.patch("/flights/10/status", content=b"{}", headers=headers).status_code == 422


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"{}", 415),
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"status=departed", 415),
        (JSON | {"Content-Encoding": "gzip"}, b"{}", 415),
        (JSON, b"", 400),
        (JSON, b"{", 400),
        (JSON, b"\xff\xfe", 400),
        (JSON, b'{"status": "\\ud800"}', 400),
        (JSON, b"[" * 1000, 400),
        (JSON, b"[]", 422),
        (JSON, b"{}", 422),
        (JSON, b'{"status": "late"}', 422),
        (JSON, b'{"status": "depar\\u0000ted"}', 422),
        (JSON, b'{"status": "departed", "departure_delay_min": "12"}', 422),
        (JSON, b'{"status": "departed", "departure_delay_min": true}', 422),
        (JSON, b'{"status": "departed", "departure_delay_min": 1e400}', 422),
        (JSON, b'{"status": "departed", "departure_delay_min": 40000}', 422),
        (JSON, b'{"status": "departed", "departure_delay_min": 123456789012345678901234567890}', 422),
        (JSON, b'{"status": "cancelled", "departure_delay_min": 3}', 422),
        (JSON, b'{"status": "departed", "gate": "B12"}', 422),
        (JSON, b'{"status": "departed", "n": "' + b"x" * 2000 + b'"}', 413),
    ],
    ids=lambda value: str(value)[:45],
)
def test_an_invalid_body_is_rejected_and_writes_nothing(
    arm: Arm, headers: dict[str, str], body: bytes, status: int
) -> None:
    before = arm.client.get("/flights/10").json()

    problem(arm.client.patch("/flights/10/status", content=body, headers=BEARER | headers), status)

    assert arm.client.get("/flights/10").json() == before


def test_an_unknown_field_of_a_body_is_named(arm: Arm) -> None:
    response = arm.client.patch("/flights/10/status", json={"status": "departed", "gate": "B12"}, headers=BEARER)

    [error] = problem(response, 422)["errors"]
    assert error == {"in": "body", "name": "gate", "message": "unknown field"}


def test_a_body_without_a_declared_length_is_cut_off_at_the_limit(arm: Arm) -> None:
    sent = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            sent.append(number)
            yield b" " * 512

    response = arm.client.patch("/flights/10/status", content=chunks(), headers=BEARER | JSON)

    assert "1024 bytes" in problem(response, 413)["detail"]


def test_a_huge_declared_body_is_rejected_before_it_is_sent(arm: Arm) -> None:
    address = urlsplit(str(arm.client.base_url))
    with closing(socket.create_connection((address.hostname, address.port), timeout=60)) as connection:
        connection.sendall(
            b"PATCH /flights/10/status HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000000000\r\n\r\n"
        )
        response = connection.recv(65536)

    assert response.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in response


def test_rejections_disclose_nothing_before_authorisation(arm: Arm) -> None:
    for address in ("/flights/10/status", "/flights/999999999/status"):
        assert problem(arm.client.patch(address, content=b"{", headers=JSON), 401)


def test_an_unhandled_error_discloses_its_trace_id_only(arm: Arm) -> None:
    response = arm.client.post("/error")

    document = problem(response, 500)
    assert "button" not in response.text
    assert document["trace_id"] == response.headers["X-Trace-Id"]
    assert len(document["trace_id"]) == 32


def kinds(root: type[ServiceError]) -> Iterator[type[ServiceError]]:
    """Yield every subclass."""
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = [line.lstrip("│├└─ ").split() for line in str(errors.__doc__).splitlines() if "─" in line]
    found = {kind.__name__: kind.status for kind in kinds(ServiceError)}

    assert {words[0] for words in drawn} == set(found)
    for name, *status in drawn:
        assert not status or int(status[0]) == found[name], name


def test_every_kind_of_problem_is_documented() -> None:
    found = list(kinds(ServiceError))
    assert len({kind.slug for kind in found}) == len(found)
    for kind in found:
        assert kind.meaning.endswith("."), kind
        assert 400 <= kind.status < 600
