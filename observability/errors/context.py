"""The content of an error report: exception, request and trace, without secrets."""

from collections.abc import Mapping
from typing import Any, Final

from observability.privacy.request_secrets import SAFE_HEADERS
from observability.privacy.scrub import Scrubber, redacted_query
from observability.request.record import RequestRecord

_FREE_TEXT: Final = ("message", "logentry", "extra", "tags", "user", "breadcrumbs")


def request_context(record: RequestRecord, handler: str) -> dict[str, Any]:
    """Return the fields about the request: route, method, path, and headers without secrets."""
    scope = record.scope
    query, method = scope.get("query_string", b""), scope.get("method", "WEBSOCKET")
    return {
        "transaction": f"{method} {handler}",
        "tags": {"handler": handler, "method": method, "request_id": record.request_id},
        "request": {
            "method": method,
            "url": f"{scope.get('scheme', 'http')}://{_host(scope['headers'])}{scope['path']}",
            "query_string": redacted_query(query) if query else "",
            "headers": {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in scope["headers"]
                if name in SAFE_HEADERS
            },
        },
    }


def without_secrets(event: Mapping[str, Any], scrubber: Scrubber, *, keeps_locals: bool) -> dict[str, Any]:
    """Return the report without secrets; lines of source code stay unchanged.

    Local variables of libraries are removed: they hold the request in every form and help little. Those of the
    application stay if `keeps_locals`.
    """
    clean = dict(event)
    for key in _FREE_TEXT:
        if key in clean:
            clean[key] = scrubber.value(clean[key])
    if "contexts" in clean:
        clean["contexts"] = {
            name: value if name == "trace" else scrubber.value(value) for name, value in clean["contexts"].items()
        }
    for group in ("exception", "threads"):
        if group in clean:
            values = [_clean_stack(value, scrubber, keeps_locals) for value in clean[group].get("values", ())]
            clean[group] = {**clean[group], "values": values}
    return clean


def _clean_stack(value: Mapping[str, Any], scrubber: Scrubber, keeps_locals: bool) -> dict[str, Any]:
    clean = dict(value)
    for key in ("value", "mechanism"):
        if clean.get(key):
            clean[key] = scrubber.value(clean[key])
    stack = clean.get("stacktrace")
    if stack:
        frames = []
        for frame in stack.get("frames", ()):
            kept = dict(frame)
            local = kept.pop("vars", None)
            if local and kept.get("in_app") and keeps_locals:
                kept["vars"] = scrubber.fields(local)
            frames.append(kept)
        clean["stacktrace"] = {**stack, "frames": frames}
    return clean


def _host(headers: list[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
