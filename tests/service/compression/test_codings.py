import gzip
import zlib
from collections.abc import Callable
from random import Random

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard

from service.compression.codings import BY_NAME
from service.http.negotiation import CODINGS

BODY = b'{"flight": "UA 1545", "origin": "EWR"}' * 1000


def unpack(coding: str) -> Callable[[bytes], bytes]:
    """Return an incremental decoder."""
    if coding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress
    if coding == "br":
        decoder: Callable[[bytes], bytes] = brotli.Decompressor().process
        return decoder
    return zlib.decompressobj(31).decompress


def test_every_coding_that_is_negotiated_can_be_made() -> None:
    assert set(BY_NAME) == set(CODINGS)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_whole_body_round_trips_and_is_always_the_same(coding: str) -> None:
    made = BY_NAME[coding].whole(BODY)
    assert unpack(coding)(made) == BODY
    assert len(made) < len(BODY) / 20
    assert BY_NAME[coding].whole(BODY) == made


@pytest.mark.parametrize("coding", CODINGS)
def test_every_part_of_a_stream_can_be_read_when_it_arrives(coding: str) -> None:
    stream, reader = BY_NAME[coding].stream(), unpack(coding)
    random = Random(1)
    for number in range(20):
        part = random.randbytes(random.randrange(500)) + b"part %d" % number
        assert reader(stream.part(part, is_last=False)) == part
    assert reader(stream.part(b"end", is_last=True)) == b"end"


@pytest.mark.parametrize("coding", CODINGS)
def test_an_empty_body_and_an_empty_stream_are_complete(coding: str) -> None:
    assert unpack(coding)(BY_NAME[coding].whole(b"")) == b""
    assert unpack(coding)(BY_NAME[coding].stream().part(b"", is_last=True)) == b""


def test_the_standard_library_reads_our_gzip_stream_to_its_end() -> None:
    stream = BY_NAME["gzip"].stream()
    assert gzip.decompress(stream.part(BODY, is_last=False) + stream.part(b"", is_last=True)) == BODY
