"""Secrets come from the environment, and what is shown never has them."""

import pytest

from lab.core.errors import BadTarget
from lab.workload.secrets import check_fields, check_header, check_text, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a?q=1&page=2", "/a?q=1&page=2"),
        ("/a?api_key=abc&q=1", "/a?api_key=***&q=1"),
        ("/a?q=1&access_token=abc#x", "/a?q=1&access_token=***#x"),
        ("flightdeck lab compare --request 'GET /a?key=abc'", "flightdeck lab compare --request 'GET /a?key=***'"),
        ("/a?token=${TOKEN}", "/a?token=${TOKEN}"),
        ("/a?X-Amz-Signature=abc", "/a?X-Amz-Signature=***"),
    ],
)
def test_values_of_sensitive_query_parameters_are_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Api-Key", "Cookie", "X-Auth-Token", "X-CSRF-Token", "Proxy-Authorization"]
)
def test_a_secret_in_a_header_is_rejected_without_its_value(name: str) -> None:
    with pytest.raises(BadTarget, match=r"has to come from the environment") as raised:
        check_header(name, "hunter2", where="search")
    assert "hunter2" not in str(raised.value)
    check_header(name, "Bearer ${TOKEN}", where="search")


@pytest.mark.parametrize("fields", [{"password": "hunter2"}, {"user": {"client_secret": "hunter2"}}, [{"token": "x"}]])
def test_a_secret_in_a_body_is_rejected_at_any_depth(fields: object) -> None:
    with pytest.raises(BadTarget, match="has to come from the environment"):
        check_fields(fields, where="login")


@pytest.mark.parametrize("fields", [{"author": "Le Guin", "keys": 3, "password": "${PASSWORD}", "token_count": 5}])
def test_other_fields_are_sent_as_written(fields: object) -> None:
    check_fields(fields, where="order")


@pytest.mark.parametrize("text", ['{"password": "x"}', "user=a&password=x"])
def test_a_body_that_is_text_is_read_as_json_or_a_form(text: str) -> None:
    with pytest.raises(BadTarget, match="password"):
        check_text(text, where="login")
