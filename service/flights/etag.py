"""The `ETag` of a flight, and the `If-Match` of updates."""

import re
from collections.abc import Sequence
from typing import Final

from service.http.negotiation import CODINGS

ANY: Final = "*"
_STRONG: Final = re.compile(r'(?<![/0-9A-Za-z_])"([\x21\x23-\x7e]*)"')
_CODED: Final = re.compile(rf"-(?:{'|'.join(CODINGS)})$")


def flight_etag(flight_id: int, version: int) -> str:
    return f'"{flight_id}.{version}"'


def is_expected(etag: str, if_match: Sequence[str] | None) -> bool:
    """Return whether the `If-Match` header lines, if there are any, match the `ETag` of the flight.

    The comparison is strong (RFC 9110, section 13.1.1): weak validators match nothing. The `ETag` of a compressed
    response, which has the coding as a suffix, matches too.
    """
    if if_match is None:
        return True
    line = ",".join(if_match)
    return line.strip(" \t") == ANY or etag[1:-1] in {_CODED.sub("", tag) for tag in _STRONG.findall(line)}
