"""Cache tags: handlers tag responses with what they depend on, writes invalidate the tags."""

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from starlette.requests import HTTPConnection
from starlette.types import Scope

_TAGS = "service.http.cache_model.tags"


@lru_cache(maxsize=4096)
def canonical(tag: str) -> str:
    """Return the tag with separators of tag lists, headers and patterns percent-encoded."""
    return quote(tag, safe=":*-._~")


def open_tags(scope: Scope) -> None:
    """Collect tags in the scope; copies of the scope made later share the collection."""
    scope.setdefault(_TAGS, set())


def fresh_tags(scope: Scope) -> None:
    """Give the scope a collection of its own."""
    scope[_TAGS] = set()


def tags_of(scope: Scope) -> frozenset[str]:
    return frozenset(scope.get(_TAGS, ()))


def tag_response(request: HTTPConnection, *tags: str) -> None:
    """Tag the response to this request; has no effect without a cache or an edge."""
    collected = request.scope.get(_TAGS)
    if collected is not None:
        collected.update(map(canonical, tags))


def surrogate_key(tags: Iterable[str]) -> bytes:
    """Return the value of the `Surrogate-Key` header."""
    return " ".join(sorted(tags)).encode("ascii")
