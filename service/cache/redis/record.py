"""An entry's status, headers and names as compact bytes; the body is kept beside it, as it is sent.

Layout, big-endian: magic `FD`, version, status (2 bytes), digest (16), size of the body (4), number of headers (1),
then each text as its length (2) and its bytes: template, cache, and name and value of every header.
"""

import struct
from itertools import chain
from typing import Final

from service.cache.errors import CacheError
from service.http.cache_model.entry import Entry, Headers

_MAGIC: Final = b"FD"
VERSION: Final = 1
_HEAD: Final = struct.Struct(">2sBH16sIB")
_LENGTH: Final = struct.Struct(">H")


class Unreadable(CacheError):
    """A kept record that this version did not write, or that is damaged."""


def packed(entry: Entry) -> bytes:
    """Return the record of an entry, without its body and tags; raise `ValueError` if a header is too long for it."""
    texts = [entry.template.encode(), entry.cache.encode(), *chain.from_iterable(entry.headers)]
    if max(map(len, texts)) > 0xFFFF or len(entry.headers) > 0xFF:
        raise ValueError(f"the headers of {entry.template} do not fit into a record")
    digest = bytes.fromhex(entry.digest)
    head = _HEAD.pack(_MAGIC, VERSION, entry.status, digest, len(entry.body), len(entry.headers))
    return b"".join([head, *(_LENGTH.pack(len(text)) + text for text in texts)])


def unpacked(record: bytes, *, body: bytes, tags: frozenset[str]) -> Entry:
    """Return the entry of a record and its body; raise `Unreadable` if they are not what `packed` made."""
    try:
        magic, version, status, digest, size_bytes, count = _HEAD.unpack_from(record)
        if (magic, version) != (_MAGIC, VERSION):
            raise Unreadable(f"a record of another kind or version: {record[:3]!r}")
        if size_bytes != len(body):
            raise Unreadable(f"a record of a body of {size_bytes} bytes came with {len(body)}")
        template, cache, *pairs = _texts(record, 2 + 2 * count)
        headers: Headers = list(zip(pairs[::2], pairs[1::2], strict=True))
        entry = Entry(
            status=status,
            headers=headers,
            body=body,
            template=template.decode(),
            tags=tags,
            digest=digest.hex(),
        )
        entry.cache = cache.decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise Unreadable(f"a damaged record of {len(record)} bytes") from error
    return entry


def _texts(record: bytes, count: int) -> list[bytes]:
    texts: list[bytes] = []
    at = _HEAD.size
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(record, at)
        at += _LENGTH.size
        text = record[at : at + length]
        if len(text) != length:
            raise Unreadable(f"a damaged record of {len(record)} bytes")
        texts.append(text)
        at += length
    if at != len(record):
        raise Unreadable(f"a record with {len(record) - at} bytes too many")
    return texts
