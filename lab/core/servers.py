"""The servers that the environment names; without them the arms use the embedded ones."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

KINDS: Final = {
    "postgresql": "PostgreSQL",
    "postgres": "PostgreSQL",
    "sqlite": "SQLite",
    "redis": "Redis",
    "rediss": "Redis",
    "unix": "Redis",
    "amqp": "RabbitMQ",
    "amqps": "RabbitMQ",
    "filesystem": "files",
}
NO_DISTANCE: Final = "the embedded database has no distance; set DATABASE_URL to a PostgreSQL server"
UPSTREAM: Final = "weather service"
"""A role that every experiment with calls to it has: the lab starts the server."""
NETWORKED: Final = frozenset({"PostgreSQL", "Redis", "RabbitMQ"})
EMBEDDED: Final = {"DATABASE_URL": "SQLite", "REDIS_URL": "in the process", "CELERY_BROKER_URL": "files"}
EMBEDDED_ONLY: Final = dict.fromkeys(
    ("DATABASE_URL", "DATABASE_UNINDEXED_URL", "DATABASE_REPLICA_URL", "REDIS_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"), ""
)
"""Settings of an arm that uses no server, whatever the environment names."""
ROLES: Final = {
    "DATABASE_URL": "database",
    "DATABASE_REPLICA_URL": "replica",
    "REDIS_URL": "shared cache",
    "CELERY_BROKER_URL": "task broker",
}


@dataclass(frozen=True)
class Servers:
    """The kinds of the servers in use, by the variable that names them; no address and no password."""

    kinds: Mapping[str, str]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        named = {variable: _kind(environ[variable]) for variable in ROLES if environ.get(variable)}
        return cls(EMBEDDED | named)

    @property
    def has_own_database(self) -> bool:
        """Whether the database is a file that the lab can copy for each arm."""
        return self.kinds["DATABASE_URL"] == "SQLite"

    def missing(self, needed: Collection[str]) -> list[str]:
        """Return those of the variables that name no server."""
        return [variable for variable in needed if self.kinds.get(variable) == EMBEDDED.get(variable)]

    def distant(self) -> list[str]:
        """Return the roles of the servers that the arms reach over the network."""
        return [role for variable, role in ROLES.items() if self.kinds.get(variable) in NETWORKED]

    def described(self) -> dict[str, str]:
        """Return the kind of server by role, for a report."""
        return {role: self.kinds[variable] for variable, role in ROLES.items() if variable in self.kinds}


def _kind(url: str) -> str:
    scheme = urlsplit(url).scheme.partition("+")[0]
    return KINDS.get(scheme, scheme or "unknown")
