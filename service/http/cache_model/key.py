"""What an entry is found by: path and query string of the request, the query in one order.

Two requests share a key only if no application could tell their parsed queries apart. So nothing is decoded, empty
values and repeated names stay, and names that decode to the same text keep their order.
"""

from functools import lru_cache
from operator import itemgetter
from urllib.parse import unquote_plus

from starlette.types import Scope


@lru_cache(maxsize=4096)
def normalised(query: bytes) -> bytes:
    """Return the query string with its pairs sorted by name; pairs of one name keep their order."""
    if b"&" not in query:
        return query
    pairs = [(_name(pair), pair) for pair in query.split(b"&")]
    return b"&".join(pair for _, pair in sorted(pairs, key=itemgetter(0)))


def _name(pair: bytes) -> str:
    return unquote_plus(pair.partition(b"=")[0].decode("latin-1"))


def request_key(scope: Scope) -> bytes:
    """Return the key of a request: its path as it came, and its normalised query."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return path + b"?" + normalised(query) if query else path
