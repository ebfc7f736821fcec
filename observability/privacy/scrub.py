"""Replaces secrets in text and fields.

A secret is detected by the name of its field, by its form (a URL with a password, a bearer token), or by its value:
what a request carried is replaced wherever it is, under any name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

MAX_TEXT: Final = 512
"""Characters of a client's text in a span."""
_VALUES: Final = re.compile(rb"=[^&;]*")

REDACTED: Final = "REDACTED"

MIN_VALUE: Final = 4
"""Characters of a known value that is replaced inside a text; shorter ones are replaced only if they are all of it."""

_MAX_DEPTH: Final = 20

_SECRET_NAME: Final = re.compile(
    r"pass(?:word|wd|phrase|code)|\bpass\b|passwd|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|auth|"
    r"cookie|session|credential|signature|\bdsn\b|_dsn|bearer|jwt|csrf|xsrf|\botp\b|\bpin\b|\bssn\b|iban|card|cvv|"
    r"forwarded|real[-_]?ip|connection[-_]?string|(?:database|redis|broker|amqp)[-_]?url",
    re.IGNORECASE,
)
_FORMS: Final = (
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/@:'\"]*:[^\s/@'\"]+@", re.IGNORECASE), rf"\1{REDACTED}@"),
    (re.compile(r"\b(bearer|basic|digest)\s+[\w.~+/=-]{4,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), REDACTED),
    (re.compile(r"\b(?:sk|pk|rk|ghp|gho|ghs|github_pat|xox[abp]|AKIA)[-_]?[A-Za-z0-9_-]{12,}"), REDACTED),
    (
        re.compile(
            r"""(["']?\b[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[-_]?key|authorization|cookie|credential)"""
            r"""[\w.-]*["']?\s*(?:[=:]|',|",)\s*(?:b(?=["']))?)"""
            r"""(?:"[^"]*"|'[^']*'|(?:(?:bearer|basic|digest)\s+)?[^\s,;&)}\]]+)""",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(\[parameters: ).*?(\]\)?(?:$|\n))", re.DOTALL | re.MULTILINE), rf"\1{REDACTED}\2"),
)


def is_secret_name(name: str) -> bool:
    """Whether a field of this name (header, variable, parameter) usually holds a secret."""
    return _SECRET_NAME.search(name) is not None


class Scrubber:
    """Replaces what looks like a secret, and the known values."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = {value for value in known if value}
        self._inside = sorted((value for value in self._known if len(value) >= MIN_VALUE), key=len, reverse=True)

    def text(self, text: str) -> str:
        if text in self._known or text.strip("'\"") in self._known:
            return REDACTED
        for value in self._inside:
            text = text.replace(value, REDACTED)
        for form, replacement in _FORMS:
            text = form.sub(replacement, text)
        return text

    def fields(self, fields: Mapping[Any, Any], *, depth: int = 0) -> dict[Any, Any]:
        """Return the fields with secrets replaced, at every depth."""
        return {
            self._name(name): REDACTED if is_secret_name(str(name)) and value is not None else self.value(value, depth)
            for name, value in fields.items()
        }

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return the value with secrets replaced; a pair `(name, value)` is a field."""
        if isinstance(value, str | bytes):
            return self.text(value if isinstance(value, str) else value.decode("utf-8", "replace"))
        if isinstance(value, Mapping):
            return REDACTED if depth > _MAX_DEPTH else self.fields(value, depth=depth + 1)
        if isinstance(value, list | tuple | set | frozenset):
            return REDACTED if depth > _MAX_DEPTH else self._items(list(value), depth + 1)
        if isinstance(value, int | float) and str(value) in self._known:
            return REDACTED
        return value

    def _items(self, items: list[Any], depth: int) -> list[Any]:
        if len(items) == 2 and isinstance(items[0], str | bytes) and is_secret_name(str(items[0])):
            return [items[0], REDACTED]
        return [self.value(item, depth) for item in items]

    def _name(self, name: Any) -> Any:
        return self.text(name) if isinstance(name, str) else name


def redacted_query(query: bytes) -> str:
    """Return the query string without values: `origin=REDACTED&month=REDACTED`."""
    if b"=" not in query:
        return "REDACTED"  # a bare word is a value without a name
    return _VALUES.sub(b"=REDACTED", query)[:MAX_TEXT].decode("latin-1")
