"""Cache keys: the path and the query string of the request, with the parameters sorted.

Requests share a key only if no application could distinguish their parsed queries. So nothing is decoded, empty values
and repeated names are kept, and names that decode to the same text keep their order.
"""

from functools import lru_cache
from operator import itemgetter
from typing import Final
from urllib.parse import unquote_plus

from starlette.types import Scope

MAX_CACHED_BYTES: Final = 512
"""Longer query strings are sorted every time, so that they do not fill the memory."""


def normalised(query: bytes) -> bytes:
    """Return the query string with its pairs sorted by name; pairs of one name keep their order."""
    if b"&" not in query:
        return query
    return _sorted(query) if len(query) > MAX_CACHED_BYTES else _cached_sorted(query)


def _sorted(query: bytes) -> bytes:
    pairs = [(_name(pair), pair) for pair in query.split(b"&")]
    return b"&".join(pair for _, pair in sorted(pairs, key=itemgetter(0)))


_cached_sorted: Final = lru_cache(maxsize=4096)(_sorted)


def _name(pair: bytes) -> str:
    return unquote_plus(pair.partition(b"=")[0].decode("latin-1"))


def request_key(scope: Scope) -> bytes:
    """Return the raw path and the normalised query."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return path + b"?" + normalised(query) if query else path
