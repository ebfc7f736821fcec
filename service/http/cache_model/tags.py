"""What an answer depends on: handlers name it, writes invalidate it."""

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from starlette.requests import HTTPConnection
from starlette.types import Scope

_TAGS = "service.http.cache_model.tags"


@lru_cache(maxsize=4096)
def canonical(tag: str) -> str:
    """Return the tag without what a list of tags, a header or a pattern could misread."""
    return quote(tag, safe=":*-._~")


def open_tags(scope: Scope) -> None:
    """Let everything that answers this request add tags; copies of the scope made later share them."""
    scope.setdefault(_TAGS, set())


def fresh_tags(scope: Scope) -> None:
    """Give the scope a collection of tags of its own."""
    scope[_TAGS] = set()


def tags_of(scope: Scope) -> frozenset[str]:
    """Return the tags that the answer was given so far."""
    return frozenset(scope.get(_TAGS, ()))


def tag_response(request: HTTPConnection, *tags: str) -> None:
    """Name what the answer depends on; without a cache or an edge in front it is forgotten."""
    collected = request.scope.get(_TAGS)
    if collected is not None:
        collected.update(map(canonical, tags))


def surrogate_key(tags: Iterable[str]) -> bytes:
    """Return the tags as a `Surrogate-Key` header's value."""
    return " ".join(sorted(tags)).encode("ascii")
