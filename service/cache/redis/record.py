"""The binary record of an entry: its status, headers and names. The body is stored beside it, as it is sent.

Layout, big-endian: magic `FD`, version, status (2 bytes), digest (16), size of the body (4), number of headers (1),
then each text as its length (2) and its bytes: template, cache, and name and value of every header.
"""

import struct
from itertools import chain
from typing import Final

from service.cache.store import Unreadable
from service.http.cache_model.entry import Entry, Headers

_MAGIC: Final = b"FD"
VERSION: Final = 2
_HEAD: Final = struct.Struct(">2sBH16sIB")
_LENGTH: Final = struct.Struct(">H")


def pack(entry: Entry) -> bytes:
    """Return the record of an entry; raise `ValueError` if its headers exceed the limits of the layout."""
    texts = [entry.template.encode(), entry.cache.encode(), *chain.from_iterable(entry.headers)]
    if max(map(len, texts)) > 0xFFFF or len(entry.headers) > 0xFF:
        raise ValueError(f"the headers of {entry.template} exceed the limits of a record")
    digest = bytes.fromhex(entry.digest)
    head = _HEAD.pack(_MAGIC, VERSION, entry.status, digest, len(entry.body), len(entry.headers))
    return b"".join([head, *(_LENGTH.pack(len(text)) + text for text in texts)])


def unpack(record: bytes, *, body: bytes, tags: frozenset[str]) -> Entry:
    """Return the entry; raise `Unreadable` if the record is damaged, of another version or of another body."""
    try:
        magic, version, status, digest, size_bytes, count = _HEAD.unpack_from(record)
        if (magic, version) != (_MAGIC, VERSION):
            raise Unreadable(f"the record is of another version: {record[:3]!r}")
        if size_bytes != len(body):
            raise Unreadable(f"the body has {len(body)} bytes instead of {size_bytes}")
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
        raise Unreadable(f"the record of {len(record)} bytes is damaged") from error
    return entry


def _texts(record: bytes, count: int) -> list[bytes]:
    texts: list[bytes] = []
    at = _HEAD.size
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(record, at)
        at += _LENGTH.size
        text = record[at : at + length]
        if len(text) != length:
            raise Unreadable(f"the record of {len(record)} bytes is damaged")
        texts.append(text)
        at += length
    if at != len(record):
        raise Unreadable(f"the record is {len(record) - at} bytes too long")
    return texts
