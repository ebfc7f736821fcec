"""What may be a secret: taken from the environment only, and never shown."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from lab.core.errors import BadTarget

SENSITIVE: Final = re.compile(
    r"authoriz|authentic|oauth|^x-auth|auth[-_]?(?:code|key)|cookie|token|secret|passw|passphrase|credential|session"
    r"|(?:api|access|private|client)[-_]?key|signature|csrf|xsrf|jwt|^(?:pwd|sig|otp)$",
    re.IGNORECASE,
)
"""Names of headers, query parameters and fields whose values may be secrets."""
IN_QUERY: Final = frozenset({"key", "code", "auth", "state"})
"""Further names of query parameters."""
HIDDEN: Final = "***"
QUERY_VALUE: Final = re.compile(r"(?<=[?&])([^=&\s#]+)=([^&\s#\"']+)")
PLACE: Final = re.compile(r"(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""`{name}` is a value, `${NAME}` a variable of the environment."""


def is_sensitive(name: str) -> bool:
    return SENSITIVE.search(name) is not None


def redacted(text: str) -> str:
    """Return a target or a command line in which values of sensitive query parameters are hidden."""

    def hidden(found: re.Match[str]) -> str:
        may_be_secret = is_sensitive(found[1]) or found[1].lower() in IN_QUERY
        return f"{found[1]}={HIDDEN}" if may_be_secret and not PLACE.fullmatch(found[2]) else found[0]

    return QUERY_VALUE.sub(hidden, text)


def check_header(name: str, value: str, *, where: str) -> None:
    """Raise `BadTarget` if a header that may be a secret is written down; the message does not have its value."""
    if is_sensitive(name) and not PLACE.search(value):
        raise BadTarget(f"{where}: the value of {name} has to come from the environment, as '{name}: ${{VARIABLE}}'")


def check_fields(fields: Any, *, where: str) -> None:
    """Raise `BadTarget` if a field that may be a secret is written down, at any depth."""
    for name, value in _leaves(fields):
        if is_sensitive(name) and isinstance(value, str) and value and not PLACE.search(value):
            raise BadTarget(f"{where}: the value of {name} has to come from the environment, as ${{VARIABLE}}")


def check_text(text: str, *, where: str) -> None:
    """Check a body that is JSON or a form."""
    try:
        check_fields(json.loads(text), where=where)
    except ValueError:
        check_fields(dict(parse_qsl(text)), where=where)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    else:
        yield name, value
