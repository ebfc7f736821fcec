"""Addresses of services."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lab.core.errors import BadTarget

PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens."""

    host: str
    port: int
    is_tls: bool = False
    prefix: str = ""
    """Path before every target, without a slash at its end."""

    @classmethod
    def of(cls, url: str) -> "Address":
        """Return the address in an `http://` or `https://` URL; raise `BadTarget` for any other."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.query or parts.fragment:
            raise BadTarget(f"{url!r} is not the address of a service; it looks like http://127.0.0.1:8000")
        return cls(parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "https", parts.path.rstrip("/"))
