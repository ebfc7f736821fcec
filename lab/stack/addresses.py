"""Where the stack is reached from outside: on loopback, at the ports that `.env` names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ARMS: Final = ("baseline", "caching", "pooling", "compression", "edge")
"""What answers flights, by the name of its port; the edge stands for the optimized arm behind it."""

SERVERS: Final = (*ARMS, "prometheus", "alertmanager", "receiver", "grafana", "bugsink")


class NoPort(LookupError):
    """A port is named neither by the environment nor by `.env`."""


@dataclass(frozen=True)
class Addresses:
    """Base URLs by service, without a trailing slash."""

    urls: Mapping[str, str]
    everything_runs: bool = True
    """Whether the whole stack runs, and not only its profile `core`."""

    @classmethod
    def of(cls, values: Mapping[str, str], *, host: str = "127.0.0.1") -> "Addresses":
        """Return the addresses by `GRAFANA_PORT` and its like; raise `NoPort` for those that are missing."""
        ports = {name: values.get(f"{name.upper()}_PORT") for name in SERVERS}
        missing = [f"{name.upper()}_PORT" for name, port in ports.items() if not port]
        if missing:
            raise NoPort(f"{', '.join(missing)} not set; .env beside docker-compose.yml names every port")
        return cls(
            {name: f"http://{host}:{port}" for name, port in ports.items()},
            everything_runs="all" in values.get("COMPOSE_PROFILES", "all").split(","),
        )

    def __getitem__(self, name: str) -> str:
        """Return the base URL of a service."""
        return self.urls[name]


def env_file(path: Path) -> dict[str, str]:
    """Return what a file of `NAME=value` lines says; nothing if there is no such file."""
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
