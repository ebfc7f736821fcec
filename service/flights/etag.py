"""The strong validator of a flight, by which a client says which version it means to change."""

import re
from collections.abc import Sequence
from typing import Final

from service.http.negotiation import CODINGS

ANY: Final = "*"
_STRONG: Final = re.compile(r'(?<![/\w])"([\x21\x23-\x7e]*)"')
_CODED: Final = re.compile(rf"-(?:{'|'.join(CODINGS)})$")


def flight_etag(flight_id: int, version: int) -> str:
    """Return the `ETag` of a version of a flight."""
    return f'"{flight_id}.{version}"'


def is_expected(etag: str, if_match: Sequence[str] | None) -> bool:
    """Return whether the lines of `If-Match` let the flight with this `ETag` be changed; without a line they do.

    The comparison is strong, as RFC 9110 has it for `If-Match`: weak validators match nothing. A client that read the
    flight compressed has the validator of the compressed answer; it names the same version.
    """
    if if_match is None:
        return True
    line = ",".join(if_match)
    return line.strip() == ANY or etag[1:-1] in {_CODED.sub("", tag) for tag in _STRONG.findall(line)}
