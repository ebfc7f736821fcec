"""The keys of a shadow cache: digests of what distinguishes responses, and the clients that get them."""

from collections.abc import Mapping

from starlette.types import Scope

from observability.whatif.digest import MASK, Digest

Headers = Mapping[bytes, bytes]


def is_cacheable(response: Headers) -> bool:
    """Return whether a cache could store a response with these headers."""
    if b"set-cookie" in response or response.get(b"vary") == b"*":
        return False
    control = response.get(b"cache-control")
    return control is None or b"no-store" not in control


def response_key(digest: Digest, scope: Scope, request: Headers, vary: bytes | None) -> int:
    """Return the digest of path, sorted query, credentials, and the request headers that `Vary` names."""
    query: bytes = scope["query_string"]
    if b"&" in query:
        query = b"&".join(sorted(query.split(b"&")))
    varied = [] if vary is None else [request.get(name.strip(), b"") for name in vary.lower().split(b",")]
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return digest(path, query, request.get(b"authorization", b""), request.get(b"cookie", b""), *varied)


def client_key(response: int, scope: Scope, request: Headers) -> int:
    """Return a digest of the response's key, which has the credentials, and of the client's address and user agent."""
    peer = scope.get("client")
    address = request.get(b"x-forwarded-for") or (peer and peer[0])
    return hash((response, address, request.get(b"user-agent"))) & MASK
