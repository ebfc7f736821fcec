import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.negotiation import CODINGS, accept_encoding_of, acceptance


@pytest.mark.parametrize(
    ("header", "preferred"),
    [
        (None, "identity"),
        (b"", "identity"),
        (b"gzip", "gzip"),
        (b"gzip, deflate, br, zstd", "zstd"),
        (b"gzip, deflate, br", "br"),
        (b"GZIP", "gzip"),
        (b"x-gzip", "gzip"),
        (b"br;q=0.5, gzip;q=0.8", "gzip"),
        (b"br;q=0.5,gzip;q=0.5", "br"),
        (b"zstd;q=0, gzip", "gzip"),
        (b"gzip;q=0", "identity"),
        (b"gzip ; q=0.5 , zstd ; Q=0.4", "gzip"),
        (b"identity;q=1, gzip;q=0.5", "identity"),
        (b"gzip;q=0.5, identity;q=0.5", "gzip"),
        (b"*", "zstd"),
        (b"*;q=0", "identity"),
        (b"zstd;q=0, *", "br"),
        (b"*;q=0.1, gzip", "gzip"),
        (b"identity;q=0, gzip", "gzip"),
        (b"identity;q=0", "identity"),
        (b"deflate", "identity"),
        (b"compress, unheard-of;q=1", "identity"),
        (b"gzip;q=high", "identity"),
        (b"gzip;q=1.5, br;q=0.1", "gzip"),
        (b"gzip;level=9;q=0", "identity"),
        (b",,gzip,,", "gzip"),
    ],
)
def test_the_preferred_coding(header: bytes | None, preferred: str) -> None:
    assert acceptance(header).preferred == preferred


@pytest.mark.parametrize(
    ("header", "is_acceptable"),
    [
        (None, True),
        (b"gzip", True),
        (b"gzip, identity;q=0", False),
        (b"gzip, *;q=0", False),
        (b"*;q=0, identity;q=0.1, gzip", True),
        (b"*;q=0", True),
    ],
)
def test_identity_is_acceptable_unless_excluded_with_an_alternative(header: bytes | None, is_acceptable: bool) -> None:
    assert acceptance(header).identity is is_acceptable


def test_every_coding_that_is_not_excluded_is_acceptable() -> None:
    assert acceptance(b"br;q=0.001, gzip, zstd;q=0").acceptable == {"br", "gzip", "identity"}
    assert acceptance(b"*").acceptable == {"br", "gzip", "zstd", "identity"}


@given(st.binary(max_size=60))
def test_whatever_a_client_sends_it_gets_a_coding_that_exists(header: bytes) -> None:
    accepted = acceptance(header)
    assert accepted.preferred in accepted.acceptable <= {*CODINGS, "identity"}


def test_several_header_lines_are_one_list() -> None:
    headers = [(b"accept-encoding", b"gzip;q=0.5"), (b"host", b"x"), (b"accept-encoding", b"br")]
    assert accept_encoding_of(headers) == b"gzip;q=0.5,br"
    assert accept_encoding_of([(b"host", b"x")]) is None
