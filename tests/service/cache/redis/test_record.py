import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cache.redis.record import pack, unpack
from service.cache.store import Unreadable
from service.http.cache_model.entry import Entry
from tests.service.conftest import entry_with

TEXTS = st.binary(max_size=40)


@given(
    status=st.integers(100, 599),
    headers=st.lists(st.tuples(TEXTS, TEXTS), max_size=8),
    body=st.binary(max_size=200),
    template=st.text(max_size=30),
)
def test_an_entry_comes_back_from_its_record(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes, template: str
) -> None:
    entry = Entry(status=status, headers=headers, body=body, template=template, tags={"a"})
    entry.cache = "board"
    found = unpack(pack(entry), body=body, tags=entry.tags)
    for name in ("status", "headers", "body", "template", "tags", "cache", "digest", "etag", "surrogate_key"):
        assert getattr(found, name) == getattr(entry, name)


def test_a_damaged_record_is_rejected_and_never_misread() -> None:
    entry = entry_with(b"body")
    record = pack(entry)
    for size in range(len(record)):
        with pytest.raises(Unreadable):
            unpack(record[:size], body=b"body", tags=frozenset())
    for damaged in (record + b"x", b"XX" + record[2:], record[:2] + b"\xff" + record[3:], b"[1, 2, 3]"):
        with pytest.raises(Unreadable):
            unpack(damaged, body=b"body", tags=frozenset())


def test_a_body_of_another_size_is_rejected() -> None:
    with pytest.raises(Unreadable, match="5 bytes instead of 4"):
        unpack(pack(entry_with(b"body")), body=b"body!", tags=frozenset())


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_rejected_and_never_misread(record: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack(record, body=b"", tags=frozenset())


@pytest.mark.parametrize("headers", [[(b"x", b"y" * 70_000)], [(b"x", b"y")] * 300])
def test_headers_beyond_the_limits_are_rejected(headers: list[tuple[bytes, bytes]]) -> None:
    entry = Entry(status=200, headers=headers, body=b"", template="/")
    with pytest.raises(ValueError, match="exceed the limits"):
        pack(entry)
