"""Strong validators of compressed responses: the validator of the uncompressed body with the coding appended."""

import re
from typing import Final

from service.http.negotiation import CODINGS, Acceptance

_TAG: Final = re.compile(rb'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def suffixed(etag: bytes, coding: str) -> bytes:
    """Return the validator of the body in this coding; a weak one is the same for every coding."""
    if not etag.endswith(b'"') or etag.startswith(b"W/"):
        return etag
    return b'%b-%b"' % (etag[:-1], coding.encode())


def matching_etag(if_none_match: bytes, etag: bytes, accepted: Acceptance) -> bytes | None:
    """Return the validator for a 304 response, or None if the client has no current copy.

    A client may have the body in any coding that it accepts now. The comparison is weak, as RFC 9110 requires for
    `If-None-Match`: proxies may weaken validators.
    """
    if if_none_match.strip() == b"*":
        return etag
    current = _TAG.fullmatch(etag)
    if current is None:
        return None
    sent = set(_TAG.findall(if_none_match))
    if current[1] in sent:
        return etag
    for coding in CODINGS:
        if coding in accepted.acceptable and b"%b-%b" % (current[1], coding.encode()) in sent:
            return suffixed(etag, coding)
    return None
