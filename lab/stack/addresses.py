"""The published addresses of the stack: on loopback, at the ports that `.env` names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.core.address import Address

ARMS: Final = ("baseline", "caching", "pooling", "compression", "edge")
"""What serves flights, by the name of its port; the edge is in front of the optimized arm."""

SERVERS: Final = (*ARMS, "prometheus", "alertmanager", "receiver", "grafana", "bugsink", "otlp")


class MissingPort(LookupError):
    """Neither the environment nor `.env` sets a port."""


@dataclass(frozen=True)
class Addresses:
    """Base URLs by service, without a trailing slash."""

    urls: Mapping[str, str]
    is_full_stack: bool = True
    """Whether the whole stack runs, not only the profile `core`."""

    @classmethod
    def of(cls, values: Mapping[str, str], *, host: str = "127.0.0.1") -> "Addresses":
        """Return the addresses by `GRAFANA_PORT` and the like; raise `MissingPort` if one is not set, `BadTarget` if
        the host or a port cannot be."""
        ports = {name: values.get(f"{name.upper()}_PORT") for name in SERVERS}
        missing = [f"{name.upper()}_PORT" for name, port in ports.items() if not port]
        if missing:
            raise MissingPort(f"{', '.join(missing)} not set; .env beside docker-compose.yml names every port")
        authority = f"[{host}]" if ":" in host else host
        urls = {name: f"http://{authority}:{port}" for name, port in ports.items()}
        for url in urls.values():
            Address.of(url)
        return cls(
            urls,
            is_full_stack="all" in values.get("COMPOSE_PROFILES", "all").split(","),
        )

    def __getitem__(self, name: str) -> str:
        return self.urls[name]


def env_file(path: Path) -> dict[str, str]:
    """Return the variables of a file of `NAME=value` lines; empty if there is no such file."""
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
