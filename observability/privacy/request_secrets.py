"""The secrets of a request: values that it carried, and variables with the name of a secret in the failed code."""

import json
from collections.abc import Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote

from starlette.types import Scope

from observability.privacy.scrub import MIN_VALUE, Scrubber, is_secret_name
from observability.request.record import RequestRecord

MAX_CHAIN: Final = 10
"""Chained exceptions whose variables are searched."""

SAFE_HEADERS: Final = frozenset(
    {b"accept", b"accept-encoding", b"content-length", b"content-type", b"host", b"user-agent", b"x-request-id"}
)
"""The request headers that a report may contain."""
HARMLESS_HEADERS: Final = SAFE_HEADERS | {
    b"accept-language",
    b"cache-control",
    b"connection",
    b"pragma",
    b"traceparent",
    b"transfer-encoding",
    b"upgrade-insecure-requests",
}
MIN_UNKNOWN: Final = 8
"""Characters of an unknown header's value that make it a possible secret; a shorter one would match too much."""


def scrubber_for(error: BaseException | None, record: RequestRecord | None) -> Scrubber:
    """Return a scrubber with the secrets of an exception and of its request."""
    known = set(_local_secrets(error))
    if record is not None:
        known |= secrets_of(record.scope, record.body)
        if record.routed is not None:
            known |= {form for value in _path_secrets(record.routed) for form in _forms(value)}
    return Scrubber(known)


def secrets_of(scope: Scope, body: bytes) -> set[str]:
    """Return every value that a report about this request must not contain."""
    values: set[str] = set()
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "cookie":
            values.update(_cookie_values(value))
        if is_secret_name(name):
            values.add(value)
            values.update(word for word in value.split() if len(word) > 6)
        elif name.encode() not in HARMLESS_HEADERS and len(value) >= MIN_UNKNOWN:
            values.add(value)
    query = scope.get("query_string", b"").decode("latin-1")
    values.update(value for _, value in parse_qsl(query, keep_blank_values=True))
    values.update(word.partition("=")[2] for word in query.split("&"))
    values.update(_path_secrets(scope))
    values.update(_body_values(body))
    return {form for value in values if value for form in _forms(value)}


def _path_secrets(scope: Scope) -> Iterator[str]:
    yield from (str(value) for value in scope.get("path_params", {}).values() if len(str(value)) > 20)


def _forms(value: str) -> Iterator[str]:
    """Yield the value as it may be written in a representation, in JSON and in a URL."""
    yield value
    yield repr(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield quote(value)
    yield quote_plus(value)


def _cookie_values(header: str) -> Iterator[str]:
    try:
        cookies = SimpleCookie(header)
    except CookieError:
        cookies = SimpleCookie()
    yield from (morsel.value for morsel in cookies.values())
    yield from (unquote(part.partition("=")[2].strip()) for part in header.split(";"))


def _body_values(body: bytes) -> Iterator[str]:
    if not body:
        return
    text = body.decode("utf-8", "replace")
    yield text
    try:
        yield from _leaves(json.loads(text))
    except (ValueError, RecursionError):
        yield from (value for _, value in parse_qsl(text))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 1000:
        yield str(value)


def _local_secrets(error: BaseException | None) -> Iterator[str]:
    """Yield the values of variables with the name of a secret, in the frames of the exception and its causes."""
    for _ in range(MAX_CHAIN):
        if error is None:
            return
        traceback = error.__traceback__
        while traceback is not None:
            for name, value in traceback.tb_frame.f_locals.items():
                if isinstance(value, str) and len(value) >= MIN_VALUE and is_secret_name(name):
                    yield from _forms(value)
            traceback = traceback.tb_next
        error = error.__cause__ or error.__context__
