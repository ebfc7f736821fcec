"""Which content coding a client gets (RFC 9110, section 12.5.3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

IDENTITY: Final = "identity"
CODINGS: Final = ("zstd", "br", "gzip")
"""What the service can do, the best first: it decides among codings that the client likes equally."""

_ALIASES: Final = {"x-gzip": "gzip"}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a client accepts."""

    preferred: str
    """The coding to use, or `identity`."""
    identity: bool
    """Whether the plain body is acceptable; if not, even a small body is compressed."""
    acceptable: frozenset[str]
    """Every coding that the client does not refuse, `identity` too."""


@lru_cache(maxsize=1024)
def acceptance(accept_encoding: bytes | None, codings: Sequence[str] = CODINGS) -> Acceptance:
    """Return what an `Accept-Encoding` header accepts; without the header only the plain body is sent.

    A client that accepts nothing at all gets the plain body: an answer is worth more than a 406.
    """
    if accept_encoding is None:
        return Acceptance(IDENTITY, identity=True, acceptable=frozenset({IDENTITY}))
    weights = _weights(accept_encoding.decode("latin-1"))
    anything = weights.get("*")
    # Not named, identity is acceptable, but what the client names comes before it.
    plain = weights.get(IDENTITY, 1e-6 if anything is None else anything)
    offered = {coding: weights.get(coding, anything or 0.0) for coding in codings}
    offered[IDENTITY] = plain
    preferred = max(offered, key=lambda coding: offered[coding])
    acceptable = frozenset(coding for coding, weight in offered.items() if weight > 0)
    if not acceptable:
        return acceptance(None)
    return Acceptance(preferred, identity=plain > 0, acceptable=acceptable)


def accept_encoding_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the request's `Accept-Encoding`, several lines joined, or None."""
    found: bytes | None = None
    for name, value in headers:
        if name == b"accept-encoding":
            found = value if found is None else found + b"," + value
    return found


def _weights(text: str) -> dict[str, float]:
    """Return the weight of every named coding; members that can not be read are left out."""
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
    """Return a quality value between 0 and 1; one that can not be read refuses the coding."""
    whole, _, rest = text.partition(".")
    if whole not in {"0", "1"} or not (rest == "" or rest.isdigit()):
        return 0.0
    return min(float(text), 1.0)
