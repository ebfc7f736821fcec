"""Negotiation of the content coding (RFC 9110, section 12.5.3)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

IDENTITY: Final = "identity"
CODINGS: Final = ("zstd", "br", "gzip")
"""The supported codings by preference, which decides between codings of equal weight."""

BLANK: Final = " \t"
"""The optional whitespace of header fields; Python's `strip()` also strips characters that are not ASCII."""

MAX_CACHED_BYTES: Final = 256
"""Longer headers are parsed every time, so that they do not fill the memory; browsers send less than 100 bytes."""
_QUALITY: Final = re.compile(r"[01](\.[0-9]*)?")
_ALIASES: Final = {"x-gzip": "gzip"}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The content codings that a client accepts."""

    preferred: str
    """The coding to use, or `identity`."""
    identity: bool
    """Whether the uncompressed body is acceptable; if not, even a small body is compressed."""
    acceptable: frozenset[str]
    """Every acceptable coding, `identity` included."""


def acceptance(accept_encoding: bytes | None, codings: Sequence[str] = CODINGS) -> Acceptance:
    """Return what an `Accept-Encoding` header accepts; without the header only the uncompressed body.

    A client that accepts nothing gets the uncompressed body, which is more useful than a 406.
    """
    if accept_encoding is not None and len(accept_encoding) > MAX_CACHED_BYTES:
        return _acceptance(accept_encoding, codings)
    return _cached_acceptance(accept_encoding, codings)


def _acceptance(accept_encoding: bytes | None, codings: Sequence[str]) -> Acceptance:
    if accept_encoding is None:
        return Acceptance(IDENTITY, identity=True, acceptable=frozenset({IDENTITY}))
    weights = _weights(accept_encoding)
    anything = weights.get("*")
    # Unless listed, identity is acceptable with the lowest weight.
    plain = weights.get(IDENTITY, 1e-6 if anything is None else anything)
    offered = {coding: weights.get(coding, anything or 0.0) for coding in codings}
    offered[IDENTITY] = plain
    preferred = max(offered, key=lambda coding: offered[coding])
    acceptable = frozenset(coding for coding, weight in offered.items() if weight > 0)
    if not acceptable:
        return _acceptance(None, codings)
    return Acceptance(preferred, identity=plain > 0, acceptable=acceptable)


_cached_acceptance: Final = lru_cache(maxsize=1024)(_acceptance)


def accept_encoding_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the request's `Accept-Encoding`, repeated lines joined, or None."""
    found: bytes | None = None
    for name, value in headers:
        if name == b"accept-encoding":
            found = value if found is None else found + b"," + value
    return found


def _weights(header: bytes) -> dict[str, float]:
    """Return the weight of every listed coding; invalid members are ignored."""
    weights: dict[str, float] = {}
    for member in header.decode("latin-1").split(","):
        coding, *parameters = (part.strip(BLANK).lower() for part in member.split(";"))
        if not coding:
            continue
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip(BLANK) == "q":
                weight = quality(value.strip(BLANK))
        weights[_ALIASES.get(coding, coding)] = weight
    return weights


def quality(text: str) -> float:
    """Return a quality value between 0 and 1; an invalid one counts as 0."""
    return min(float(text), 1.0) if _QUALITY.fullmatch(text) else 0.0
