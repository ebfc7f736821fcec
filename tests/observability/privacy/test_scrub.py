"""What counts as a secret in text and fields, and what does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.privacy.request_secrets import secrets_of
from observability.privacy.scrub import REDACTED, Scrubber, is_secret_name


@pytest.mark.parametrize(
    "name",
    ["password", "DB_PASSWORD", "Authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "apiKey",
     "access_token", "csrftoken", "session_id", "client_secret", "private_key", "passphrase", "DATABASE_URL",
     "x-forwarded-for", "SENTRY_DSN", "card_number", "pwd"],
)  # fmt: skip
def test_names_that_hold_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["name", "item_id", "status", "compass", "passenger", "design", "opinion", "pinned", "content-type", "hostname"],
)
def test_names_that_do_not(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://shop:hunter2@db:5432/shop", "postgresql://REDACTED@db:5432/shop"),
        ("redis://:hunter2@cache/0", "redis://REDACTED@cache/0"),
        ("Authorization: Bearer abc.def-123", "Authorization: REDACTED"),
        ("sent Basic dXNlcjpwYXNz to it", "sent Basic REDACTED to it"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_123", REDACTED),
        ('{"password": "hunter2", "name": "x"}', '{"password": REDACTED, "name": "x"}'),
        ("User(name='x', password='hunter2')", "User(name='x', password=REDACTED)"),
        ("password=hunter2&name=x", "password=REDACTED&name=x"),
        ("AKIA1234567890ABCDEF is a key", "REDACTED is a key"),
        ("(b'authorization', b'xyz')", "(b'authorization', bREDACTED)"),
        ("[SQL: SELECT ?]\n[parameters: ('x', 'hunter2')]\n(More)", "[SQL: SELECT ?]\n[parameters: REDACTED]\n(More)"),
        ("http://shop.example/items?page=2 is fine", "http://shop.example/items?page=2 is fine"),
        ("the compass of the passenger", "the compass of the passenger"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_replaced(text: str, clean: str) -> None:
    assert Scrubber().text(text) == clean


def test_fields_are_clean_at_every_depth() -> None:
    fields: dict[str, Any] = {
        "user": {"name": "x", "password": "hunter2"},
        "headers": [["b'cookie'", "b'a=hunter2'"], ("accept", "*/*")],
        "list": [{"token": 5}, "Bearer hunter2"],
        "bytes": b"password=hunter2",
        "none": None,
        "number": 7,
    }
    assert "hunter2" not in str(Scrubber().fields(fields))
    assert Scrubber().fields(fields)["number"] == 7
    assert Scrubber().fields(fields)["headers"][1] == ["accept", "*/*"]


def test_endless_depth_ends() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    assert REDACTED in str(Scrubber().fields(endless))


@given(st.text(min_size=4, max_size=30), st.text(max_size=50), st.text(max_size=50))
def test_a_known_value_is_never_left(value: str, before: str, after: str) -> None:
    clean = Scrubber([value]).text(before + value + after)
    assert value not in clean or value in REDACTED or value in before + REDACTED + after


def test_short_known_values_are_replaced_only_alone() -> None:
    scrubber = Scrubber(["JFK"])
    assert scrubber.text("JFK") == REDACTED
    assert scrubber.text("from JFK to BOS") == "from JFK to BOS"


def test_everything_a_request_brings_is_known() -> None:
    scope = {
        "headers": [
            (b"Authorization", b"Bearer one-token"),
            (b"cookie", b"a=two%20words; b=three"),
            (b"accept", b"*/*"),
        ],
        "query_string": b"q=four+words&r=five%2Fsix",
    }
    known = secrets_of(scope, b'{"note": "seven", "deep": [{"x": "eight"}], "n": 123456, "small": 5}')
    assert {
        "Bearer one-token", "one-token", "two words", "three", "four words", "five/six", "seven", "eight", "123456",
    } <= known  # fmt: skip
    assert "*/*" not in known
    assert "5" not in known


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{", b"[" * 3000, b"name=nine&x=1"])
def test_any_body_can_be_read(body: bytes) -> None:
    secrets_of({"headers": [(b"cookie", b"\xff;=;a")], "query_string": b"%zz&&=&\xff"}, body)
