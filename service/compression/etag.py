"""Strong validators of compressed answers: the plain body's, with the content coding inside the quotes."""

import re
from typing import Final

from service.http.negotiation import CODINGS, Acceptance

_TAG: Final = re.compile(rb'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def suffixed(etag: bytes, coding: str) -> bytes:
    """Return the validator of the body in this coding; a weak one is left alone, it promises no bytes."""
    if not etag.endswith(b'"') or etag.startswith(b"W/"):
        return etag
    return b'%b-%b"' % (etag[:-1], coding.encode())


def unchanged(if_none_match: bytes, etag: bytes, accepted: Acceptance) -> bytes | None:
    """Return the validator to answer 304 with, or None if the client has nothing that is still current.

    A client may hold the body in any coding that it accepts now. The comparison is weak, as RFC 9110 has it for
    `If-None-Match`, because proxies weaken validators on the way.
    """
    if if_none_match.strip() == b"*":
        return etag
    current = _TAG.fullmatch(etag)
    if current is None:
        return None
    held = set(_TAG.findall(if_none_match))
    if current[1] in held:
        return etag
    for coding in CODINGS:
        if coding in accepted.acceptable and b"%b-%b" % (current[1], coding.encode()) in held:
            return suffixed(etag, coding)
    return None
