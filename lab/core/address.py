"""The address of a service."""

import ssl
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
    ca: str = ""
    """File with the certificate authorities to trust; empty: those of the system."""

    @property
    def origin(self) -> str:
        """The URL without the prefix."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}"

    def tls(self) -> ssl.SSLContext | None:
        """Return how its certificate is verified, None without TLS; raise `BadTarget` for an unusable `ca`."""
        if not self.is_tls:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:  # an SSLError too
            raise BadTarget(
                f"{self.ca} is not a file of certificates in PEM format ({error.strerror or error})"
            ) from error

    @classmethod
    def of(cls, url: str, *, ca: str = "") -> "Address":
        """Parse an `http://` or `https://` URL; raise `BadTarget` for anything else."""
        wrong = BadTarget(f"{url!r} is not the address of a service; it looks like http://127.0.0.1:8000")
        try:
            parts = urlsplit(url)
            port = parts.port
            (parts.hostname or "").encode("idna")
        except ValueError as error:  # brackets without IPv6, a port over 65535, a label of over 63 characters
            raise wrong from error
        is_plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
        if (
            not is_plain
            or parts.scheme not in PORTS
            or not parts.hostname
            or port == 0
            or parts.query
            or parts.fragment
        ):
            raise wrong
        return cls(parts.hostname, port or PORTS[parts.scheme], parts.scheme == "https", parts.path.rstrip("/"), ca)


def host_and_port(text: str) -> tuple[str, int]:
    """Parse `HOST:PORT`; raise `BadTarget` for anything else."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
        raise BadTarget(f"{text!r} is not an address HOST:PORT, such as localhost:9464")
    return host, int(port)
