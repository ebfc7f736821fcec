"""The address of a service."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lab.core.errors import BadTarget

PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int
    is_tls: bool = False
    prefix: str = ""
    """Path before every target, without a trailing slash."""

    @classmethod
    def of(cls, url: str) -> "Address":
        """Parse an `http://` or `https://` URL; raise `BadTarget` for anything else."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.query or parts.fragment:
            raise BadTarget(f"{url!r} is not the address of a service; it looks like http://127.0.0.1:8000")
        return cls(parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "https", parts.path.rstrip("/"))
