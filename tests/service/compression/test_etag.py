import pytest

from service.compression.etag import matching_etag, suffixed
from service.http.negotiation import acceptance

ANY = acceptance(b"gzip, br, zstd")


def test_each_coding_has_a_validator_of_its_own_and_weak_ones_stay() -> None:
    assert suffixed(b'"abc"', "zstd") == b'"abc-zstd"'
    assert suffixed(b'W/"abc"', "zstd") == b'W/"abc"'
    assert suffixed(b"unquoted", "zstd") == b"unquoted"


@pytest.mark.parametrize(
    ("if_none_match", "expected"),
    [
        (b'"abc"', b'"abc"'),
        (b'W/"abc"', b'"abc"'),
        (b'"abc-gzip"', b'"abc-gzip"'),
        (b'W/"abc-gzip"', b'"abc-gzip"'),
        (b'"x", "abc-zstd", "y"', b'"abc-zstd"'),
        (b'"x","abc"', b'"abc"'),
        (b"*", b'"abc"'),
        (b" * ", b'"abc"'),
        (b'"x"', None),
        (b'"ABC"', None),
        (b'"abc-"', None),
        (b'"abc-deflate"', None),
        (b"abc", None),
        (b'"a,b"', None),
        (b'"', None),
        (b"", None),
    ],
)
def test_what_a_client_holds_is_current_or_not(if_none_match: bytes, expected: bytes | None) -> None:
    assert matching_etag(if_none_match, b'"abc"', ANY) == expected


def test_a_copy_in_a_coding_that_the_client_no_longer_accepts_is_of_no_use() -> None:
    plain_only = acceptance(None)
    assert matching_etag(b'"abc-zstd"', b'"abc"', plain_only) is None
    assert matching_etag(b'"abc-zstd", "abc"', b'"abc"', plain_only) == b'"abc"'


def test_a_weak_validator_matches_weakly() -> None:
    assert matching_etag(b'"abc"', b'W/"abc"', ANY) == b'W/"abc"'
    assert matching_etag(b'W/"abc"', b'W/"abc"', ANY) == b'W/"abc"'


def test_a_validator_with_a_comma_is_one_validator() -> None:
    assert matching_etag(b'"x", "a,b"', b'"a,b"', ANY) == b'"a,b"'
