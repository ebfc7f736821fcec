"""Text within the limits of back ends, which count bytes of UTF-8."""

import re
from typing import Final

ELLIPSIS: Final = "…"
_FRAME: Final = re.compile(r'^[ |]*File "', re.MULTILINE)
_MESSAGE: Final = re.compile(r"^(?! {4})", re.MULTILINE)
"""What follows the last frame of a traceback: the lines of a frame are indented."""


def size_bytes(text: str) -> int:
    """Return the length in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def truncated(text: str, *, max_bytes: int) -> str:
    """Return the start of the text, at most that long in UTF-8; an ellipsis marks what is left out."""
    if size_bytes(text) <= max_bytes:
        return text
    room = max_bytes - size_bytes(ELLIPSIS)
    return text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + ELLIPSIS if room >= 0 else ""


def innermost_frames(stacktrace: str, *, max_bytes: int) -> str:
    """Return the traceback with as many frames as fit, counted from the line that raised, and the exception.

    Back ends cut at the end, where Python has both. The exception gets at most a quarter of the length.
    """
    if size_bytes(stacktrace) <= max_bytes:
        return stacktrace
    starts = [found.start() for found in _FRAME.finditer(stacktrace)]
    if not starts:
        return truncated(stacktrace, max_bytes=max_bytes)
    message_start = _message_start(stacktrace, starts[-1])
    frames = stacktrace[:message_start]
    message = truncated(stacktrace[message_start:], max_bytes=max_bytes // 4)
    room = max_bytes - size_bytes(message) - size_bytes(_header(len(starts), len(starts)))
    number, start = 1, starts[-1]
    for further in reversed(starts[:-1]):
        if size_bytes(frames[further:]) > room:
            break
        number, start = number + 1, further
    shown = truncated(frames[start:], max_bytes=room)
    return truncated(f"{_header(number, len(starts))}{shown}{message}", max_bytes=max_bytes)


def _header(number: int, total: int) -> str:
    return f"Traceback (most recent call last; the innermost {number} of {total} frames):\n"


def _message_start(stacktrace: str, last_frame: int) -> int:
    line_end = stacktrace.find("\n", last_frame)
    found = _MESSAGE.search(stacktrace, line_end + 1) if line_end >= 0 else None
    return found.start() if found else len(stacktrace)
