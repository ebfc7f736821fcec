from collections.abc import Sequence
from random import Random
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from service.http.cache_model.key import normalised, request_key

# Few characters, so that names collide, decode to each other, are empty, or have no value.
PAIRS = st.lists(st.text(alphabet="ab%=14+", max_size=6), max_size=5)


def by_name(query: bytes) -> dict[str, list[str]]:
    """Return the values by name, as an application reads them."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query.decode(), keep_blank_values=True):
        values.setdefault(name, []).append(value)
    return values


@given(PAIRS)
def test_a_normalised_query_has_the_same_parameters(pairs: Sequence[str]) -> None:
    query = "&".join(pairs).encode()
    assert by_name(normalised(query)) == by_name(query)


@given(PAIRS, st.randoms())
def test_equal_keys_mean_equal_requests(pairs: Sequence[str], random: Random) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    one, other = "&".join(pairs).encode(), "&".join(shuffled).encode()
    if normalised(one) == normalised(other):
        assert by_name(one) == by_name(other)


def test_the_order_of_different_names_does_not_matter() -> None:
    assert normalised(b"origin=JFK&month=2013-01") == normalised(b"month=2013-01&origin=JFK")


def test_repeated_names_blank_values_and_encodings_keep_requests_apart() -> None:
    different = [
        b"a=1&a=2",
        b"a=2&a=1",
        b"a=1&%61=2",
        b"%61=2&a=1",
        b"a=1&a",
        b"a=1&a=",
        b"a=1",
        b"a=%31",
        b"",
        b"a=1&",
    ]
    assert len({normalised(query) for query in different}) == len(different)


def test_a_path_and_its_encoded_twin_are_two_keys() -> None:
    plain = {"path": "/a/b", "raw_path": b"/a/b", "query_string": b""}
    encoded = {"path": "/a/b", "raw_path": b"/a%2Fb", "query_string": b""}
    assert request_key(plain) != request_key(encoded)


def test_a_server_that_gives_no_raw_path_is_served_too() -> None:
    assert request_key({"path": "/zürich", "query_string": b"a=1"}) == "/zürich?a=1".encode()
