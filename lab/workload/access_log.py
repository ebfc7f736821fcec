"""An access log in the common or combined format: its successful GET and HEAD requests, as often as they came."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.core.errors import BadTarget
from lab.workload.imported import Imported, imported, kind_of
from lab.workload.secrets import HIDDEN, redacted
from lab.workload.workload import READS, RequestTemplate

LINE: Final = re.compile(r'\S+ \S+ .*?\[[^\]]*\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?:\d+|-)')
REQUEST: Final = re.compile(r"([A-Z]+) (\S+) HTTP/\d(?:\.\d)?")
WITHOUT_CREDENTIALS: Final = frozenset({401, 403, 407, 429})


def read_access_log(path: Path) -> Imported:
    """Read the log; raise `BadTarget` if no line of it is a request that can be sent."""
    left_out = Counter[str]()
    counts: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for line in _lines(path):
        found = LINE.match(line)
        request = REQUEST.fullmatch(found["request"]) if found else None
        if found is None or request is None:
            left_out["lines that are not requests in the common log format"] += bool(line.strip())
            continue
        method, target, status = request[1], _origin_form(request[2]), int(found["status"])
        if method not in READS:
            left_out["requests of other methods than GET and HEAD"] += 1
        elif status >= 500 or status in WITHOUT_CREDENTIALS:
            left_out["requests that failed or were rejected"] += 1
        elif not target.startswith("/") or not (target.isascii() and target.isprintable()) or "#" in target:
            left_out["requests without a path"] += 1
        elif HIDDEN in redacted(target):
            left_out["requests with a secret in their query"] += 1
        else:
            counts[method, target][200 if status == 304 else status] += 1
    requests = (
        RequestTemplate(
            name=kind_of(method, target),
            method=method,
            path=target,
            weight=statuses.total(),
            expect=["2xx", *sorted(str(status) for status in statuses if status >= 300)],
            literal=True,
        )
        for (method, target), statuses in counts.items()
    )
    return imported(requests, left_out, source=str(path))


def _origin_form(target: str) -> str:
    """Return the path and query of a target that is a whole URL, as proxies log it."""
    return re.sub(r"^https?://[^/?#]+(?=/)", "", target)


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from file
    except OSError as error:
        raise BadTarget(f"{path}: {error.strerror}") from error
