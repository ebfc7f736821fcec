"""Header fields are ASCII: other digits, letters and whitespace of Python's text have no meaning in them."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.http.negotiation import acceptance, quality
from service.landing.routes import prefers_json
from tests.servers.arm import WRITE_TOKEN, Arm, arm_settings, running_arm

NOT_ASCII = [
    b"\xb2",
    b"\xb9",
    b"\xbc",
    b"\xa0",
    b"\x85",
    b"\xaa",
    b"\xb5",
    b"\xdf",
    b"\xe9",
    b"\xff",
    "\u0661".encode(),
]
FIELDS = [
    (b"Accept", b"application/json;q=0.%b"),
    (b"Accept", b"application/json%b"),
    (b"Accept-Encoding", b"gzip;q=0.%b"),
    (b"Accept-Encoding", b"gzip;q=%b"),
    (b"Accept-Encoding", b"%bgzip"),
    (b"Accept-Encoding", b"br;q=0.5, gzip;q=0.%b%b"),
    (b"Authorization", b"Bearer%bx"),
    (b"Authorization", b"Bearer %b"),
    (b"Baggage", b"a=%b"),
    (b"Content-Encoding", b"identity%b"),
    (b"Content-Type", b"application/json%b"),
    (b"Cookie", b"flightdeck_position=%b"),
    (b"Host", b"x%b"),
    (b"Idempotency-Key", b"%b"),
    (b"If-Match", b'%b"1.1"'),
    (b"If-Modified-Since", b"Tue, 0%b Jan 2013 00:00:00 GMT"),
    (b"If-None-Match", b'%b"1.1"'),
    (b"If-Range", b'"%b"'),
    (b"Last-Event-ID", b"%b"),
    (b"Origin", b"http://%b"),
    (b"Range", b"bytes=0-%b"),
    (b"Traceparent", b"00-%b"),
    (b"User-Agent", b"%b"),
    (b"X-Forwarded-For", b"%b"),
    (b"X-Request-ID", b"%b"),
]
REQUESTS = [
    b"GET /airlines",
    b"GET /livez",
    b"GET /",
    b"GET /nothing-here",
    b"HEAD /flights/10/events",
    b"POST /exports",
]


@pytest.fixture(scope="module")
def arm(sparse_flights: Path) -> Iterator[Arm]:
    with running_arm(arm_settings("all", sparse_flights)) as running:
        yield running


@pytest.mark.parametrize(("name", "value"), FIELDS)
def test_text_that_is_not_ascii_is_no_error_of_the_service(arm: Arm, name: bytes, value: bytes) -> None:
    address = urlsplit(str(arm.client.base_url))
    for text in NOT_ASCII:
        for request in REQUESTS:
            with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
                authorisation = b"" if name == b"Authorization" else f"Authorization: Bearer {WRITE_TOKEN}\r\n".encode()
                connection.sendall(
                    request
                    + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    + authorisation
                    + name
                    + b": "
                    + value.replace(b"%b", text)
                    + b"\r\n\r\n"
                )
                status = int(connection.recv(65536).split(b" ", 2)[1])
            assert status < 500, (request, name, text)


@pytest.mark.parametrize(
    "text", ["0.\xb2", "\xb9", "0.\u0661", "1_0", "nan", "inf", "-0", "+1", "1e0", "", ".5", "0.5\xa0"]
)
def test_an_invalid_quality_value_counts_as_zero(text: str) -> None:
    assert quality(text) == 0.0


@pytest.mark.parametrize("blank", [b"\xa0", b"\x85", b"\x1c", b"\x0b"])
def test_only_spaces_and_tabs_surround_a_member(blank: bytes) -> None:
    assert acceptance(b" \tgzip\t ").preferred == "gzip"
    assert acceptance(blank + b"gzip").preferred == "identity"
    assert not prefers_json((blank + b"application/json").decode("latin-1"))


@pytest.mark.parametrize("weight", ["nan", "inf", "1_0", "\xb2"])
def test_json_with_an_invalid_weight_is_not_preferred(weight: str) -> None:
    assert not prefers_json(f"application/json;q={weight}, text/html;q=0.1")
