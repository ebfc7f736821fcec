"""Text and fields without secrets: what looks like a credential, or is known to be one, is replaced before it leaves.

Two things give a secret away: the name of the field that holds it, and its form (a URL with a password, a bearer
token). What a request brought along is known by value, so it is found wherever it went, also under an innocent name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

LONGEST_TEXT: Final = 512
"""Characters of a caller's text that a span keeps at most."""
_VALUES: Final = re.compile(rb"=[^&;]*")

REDACTED: Final = "REDACTED"

SHORTEST_VALUE: Final = 4
"""Shorter known values are replaced only where they stand alone; as part of a text they could be anything."""

_DEEPEST: Final = 20

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
    """Replaces what looks like a secret, and the given values wherever they are."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = {value for value in known if value}
        self._inside = sorted((value for value in self._known if len(value) >= SHORTEST_VALUE), key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        if text in self._known or text.strip("'\"") in self._known:
            return REDACTED
        for value in self._inside:
            text = text.replace(value, REDACTED)
        for form, replacement in _FORMS:
            text = form.sub(replacement, text)
        return text

    def fields(self, fields: Mapping[Any, Any], *, depth: int = 0) -> dict[Any, Any]:
        """Return the fields without the values of secret names, and other texts scrubbed, at every depth."""
        return {
            self._name(name): REDACTED if is_secret_name(str(name)) and value is not None else self.value(value, depth)
            for name, value in fields.items()
        }

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return any value without secrets; a pair `(name, value)` counts as a field."""
        if isinstance(value, str | bytes):
            return self.text(value if isinstance(value, str) else value.decode("utf-8", "replace"))
        if isinstance(value, Mapping):
            return REDACTED if depth > _DEEPEST else self.fields(value, depth=depth + 1)
        if isinstance(value, list | tuple | set | frozenset):
            return REDACTED if depth > _DEEPEST else self._items(list(value), depth + 1)
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
    """Return the query string's parameter names without their values: `origin=REDACTED&month=REDACTED`."""
    if b"=" not in query:
        return "REDACTED"  # a bare word is a value without a name
    return _VALUES.sub(b"=REDACTED", query)[:LONGEST_TEXT].decode("latin-1")
