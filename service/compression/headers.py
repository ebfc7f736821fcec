"""The headers of a response that was compressed, or would be for another client."""

from service.compression.etag import suffixed
from service.http.cache_model.entry import Headers


def with_vary(headers: Headers) -> Headers:
    """Return the headers with `Accept-Encoding` in `Vary`."""
    vary = [value for name, value in headers if name == b"vary"]
    listed = {member.strip().lower() for value in vary for member in value.split(b",")}
    if listed & {b"*", b"accept-encoding"}:
        return headers
    others = [pair for pair in headers if pair[0] != b"vary"]
    return [*others, (b"vary", b", ".join([*vary, b"Accept-Encoding"]))]


def with_encoding(headers: Headers, coding: str, size_bytes: int | None) -> Headers:
    """Return the headers for the body in this coding, without Content-Length if the size is None."""
    changed = [
        (name, suffixed(value, coding) if name == b"etag" else value)
        for name, value in headers
        if name not in {b"content-length", b"accept-ranges"}
    ]
    changed.append((b"content-encoding", coding.encode()))
    if size_bytes is not None:
        changed.append((b"content-length", b"%d" % size_bytes))
    return with_vary(changed)
