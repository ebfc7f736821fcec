"""A HAR file (HTTP Archive 1.2), as browsers save it: the requests to the origin with most of them."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from pydantic import ValidationError

from lab.core.errors import BadTarget
from lab.workload.imported import Imported, imported, kind_of
from lab.workload.secrets import HIDDEN, check_text, is_sensitive, redacted
from lab.workload.workload import OWN_HEADERS, RequestTemplate

NOT_REPEATED: Final = OWN_HEADERS | {
    *("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range"),
    *("keep-alive", "trailer", "upgrade", "upgrade-insecure-requests", "priority"),
    *("origin", "referer", "proxy-connection", "expect"),
}
"""Of the recorded connection, cache or site."""


def read_har(path: Path) -> Imported:
    """Read the file; raise `BadTarget` if it is not a HAR file or has no request that can be sent."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))["log"]["entries"]
        recorded = [(urlsplit(entry["request"]["url"]), entry) for entry in entries]
    except OSError as error:
        raise BadTarget(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadTarget(f"{path} is not a HAR file: no log.entries with the URL of each request") from error
    left_out = Counter[str]()
    origins = Counter((url.scheme, url.netloc) for url, _ in recorded if url.scheme in {"http", "https"})
    chosen = origins.most_common(1)[0][0] if origins else None
    requests = []
    for url, entry in recorded:
        if (url.scheme, url.netloc) != chosen:
            left_out["requests to other origins"] += 1
            continue
        target = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
        try:
            request = _request(target, entry, left_out)
        except (KeyError, TypeError, AttributeError, ValidationError) as error:
            raise BadTarget(f"{path}: {kind_of('request', target)} is not as HAR 1.2 describes it") from error
        requests += [request] if request is not None else []
    return imported(requests, left_out, source=str(path))


def _request(target: str, entry: Mapping[str, Any], left_out: Counter[str]) -> RequestTemplate | None:
    recorded = entry["request"]
    if HIDDEN in redacted(target):
        left_out["requests with a secret in their query"] += 1
        return None
    headers = {}
    for header in recorded.get("headers", []):
        name = header["name"].lower()
        if is_sensitive(name):
            left_out[f"headers {name}, which may be secrets"] += 1
        elif name.startswith(":") or name in NOT_REPEATED:
            continue
        elif header["value"].isascii() and header["value"].isprintable():
            headers[name] = header["value"]
    text = _body(recorded.get("postData") or {})
    if text is None:
        left_out["requests with a secret or with binary data in their body"] += 1
        return None
    status = entry.get("response", {}).get("status", 0)
    return RequestTemplate(
        name=kind_of(recorded["method"].upper(), target),
        method=recorded["method"],
        path=target,
        headers=headers,
        text=text or None,
        expect=["2xx"] if status < 100 or status == 304 or 200 <= status < 300 else [status],
        literal=True,
    )


def _body(data: Mapping[str, Any]) -> str | None:
    """Return the body; None if it cannot be sent again."""
    text = data.get("text") or urlencode([(each["name"], each.get("value", "")) for each in data.get("params", [])])
    if data.get("encoding") == "base64":
        return None
    try:
        check_text(str(text), where="")
    except BadTarget:
        return None
    return str(text)
