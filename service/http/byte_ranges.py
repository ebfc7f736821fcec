"""Byte ranges as RFC 9110, section 14, defines them; Starlette's `FileResponse` reads `Range` in its own way."""

import re
from typing import Final

from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

_RANGE: Final = re.compile(r"([0-9]+)-([0-9]*)|-([0-9]+)")
_MALFORMED: Final = "bytes="
_MAX_DIGITS: Final = 18
"""No file is larger."""


class RangesFileResponse(FileResponse):
    """A file, or the ranges of it that `Range` selects.

    It ignores units other than bytes, and leaves out ranges beyond the end unless all of them are: 416. Malformed
    ranges are 400. It needs a `stat_result`: the size decides.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = [value for name, value in scope["headers"] if name == b"range"]
        if sent and self.stat_result is not None:
            ranges = satisfiable_ranges(b",".join(sent).decode("latin-1"), size_bytes=self.stat_result.st_size)
            headers = [pair for pair in scope["headers"] if pair[0] != b"range"]
            if ranges is not None:
                headers.append((b"range", ranges.encode()))
            scope = {**scope, "headers": headers}
        await super().__call__(scope, receive, send)


def satisfiable_ranges(header: str, *, size_bytes: int) -> str | None:
    """Return the header with its satisfiable ranges only, or None if it has to be ignored.

    Without a satisfiable range, the header is one that no file of this size satisfies.
    """
    unit, _, members = header.partition("=")
    if unit.lower() != "bytes":
        return None
    ranges: list[str] = []
    is_empty = True
    for member in members.split(","):
        text = member.strip(" \t")
        if not text:
            continue
        is_empty = False
        match = _RANGE.fullmatch(text)
        if match is None:
            return _MALFORMED
        first, last, suffix = match.groups()
        if suffix is not None:
            start, end = max(0, size_bytes - _number(suffix)), size_bytes - 1
        else:
            start, end = _number(first), _number(last) if last else size_bytes - 1
            if last and end < start:
                return _MALFORMED
        if start < size_bytes:
            ranges.append(f"{start}-{min(end, size_bytes - 1)}")
    if is_empty:
        return _MALFORMED
    return f"bytes={','.join(ranges)}" if ranges else f"bytes={size_bytes}-"


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= _MAX_DIGITS else int(digits.lstrip("0")[: _MAX_DIGITS + 1] or "0")
