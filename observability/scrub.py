"""Text without secrets: what looks like a credential is replaced before it leaves the process."""

import re
from collections.abc import Mapping
from typing import Any, Final

REDACTED: Final = "REDACTED"

_SECRET_NAME: Final = re.compile(
    r"pass(?:word|wd|phrase|code)?$|secret|token|api[-_]?key|auth|cookie|session|credential|private|signature|dsn|"
    r"bearer|jwt|csrf|xsrf|otp|pin$|ssn|iban|card|cvv|forwarded|real[-_]?ip|connection[-_]?string|database[-_]?url|"
    r"redis[-_]?url|broker[-_]?url",
    re.IGNORECASE,
)
_PATTERNS: Final = (
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/@:]*:[^\s/@]+@", re.IGNORECASE), rf"\1{REDACTED}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), REDACTED),
    (re.compile(r"\b(?:sk|pk|ghp|gho|ghs|xox[abp]|AKIA)[-_]?[A-Za-z0-9_-]{12,}"), REDACTED),
    (
        re.compile(
            r"""(["']?\b[\w.-]*(?:password|passwd|secret|token|api[-_]?key|authorization|cookie)[\w.-]*["']?\s*[=:]\s*)"""
            r"""(?:"[^"]*"|'[^']*'|[^\s,;&)}\]]+)""",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(\[parameters: ).*?(\]$|\]\n)", re.DOTALL | re.MULTILINE), rf"\1{REDACTED}\2"),
)


def is_secret_name(name: str) -> bool:
    """Whether a field of this name (header, variable, parameter) usually holds a secret."""
    return _SECRET_NAME.search(name) is not None


def scrubbed(text: str) -> str:
    """Return the text with URLs' credentials, tokens, keys and `password=...` values replaced."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def scrubbed_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with the values of secret names replaced and other texts scrubbed, at every depth."""
    return {name: REDACTED if is_secret_name(str(name)) else _scrubbed_value(value) for name, value in fields.items()}


def _scrubbed_value(value: Any) -> Any:
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, Mapping):
        return scrubbed_fields(value)
    if isinstance(value, list | tuple):
        return [_scrubbed_value(item) for item in value]
    return value
