"""Negotiation of the content coding (RFC 9110, section 12.5.3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

IDENTITY: Final = "identity"
CODINGS: Final = ("zstd", "br", "gzip")
"""The supported codings by preference, which decides between codings of equal weight."""

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


@lru_cache(maxsize=1024)
def acceptance(accept_encoding: bytes | None, codings: Sequence[str] = CODINGS) -> Acceptance:
    """Return what an `Accept-Encoding` header accepts; without the header only the uncompressed body.

    A client that accepts nothing gets the uncompressed body, which is more useful than a 406.
    """
    if accept_encoding is None:
        return Acceptance(IDENTITY, identity=True, acceptable=frozenset({IDENTITY}))
    weights = _weights(accept_encoding.decode("latin-1"))
    anything = weights.get("*")
    # Unless listed, identity is acceptable with the lowest weight.
    plain = weights.get(IDENTITY, 1e-6 if anything is None else anything)
    offered = {coding: weights.get(coding, anything or 0.0) for coding in codings}
    offered[IDENTITY] = plain
    preferred = max(offered, key=lambda coding: offered[coding])
    acceptable = frozenset(coding for coding, weight in offered.items() if weight > 0)
    if not acceptable:
        return acceptance(None)
    return Acceptance(preferred, identity=plain > 0, acceptable=acceptable)


def accept_encoding_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the request's `Accept-Encoding`, repeated lines joined, or None."""
    found: bytes | None = None
    for name, value in headers:
        if name == b"accept-encoding":
            found = value if found is None else found + b"," + value
    return found


def _weights(text: str) -> dict[str, float]:
    """Return the weight of every listed coding; invalid members are ignored."""
    weights: dict[str, float] = {}
    for member in text.split(","):
        coding, *parameters = (part.strip().lower() for part in member.split(";"))
        if not coding:
            continue
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = _weight(value.strip())
        weights[_ALIASES.get(coding, coding)] = weight
    return weights


def _weight(text: str) -> float:
    """Return a quality value between 0 and 1; an invalid one counts as 0."""
    whole, _, rest = text.partition(".")
    if whole not in {"0", "1"} or not (rest == "" or rest.isdigit()):
        return 0.0
    return min(float(text), 1.0)
