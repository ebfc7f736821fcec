"""The service's settings: read once from the environment into a frozen object."""

from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from observability import TelemetrySettings
from service import techniques
from service.core import database_url
from service.core.quota import Quota


class ConfigurationError(ValueError):
    """A setting is invalid; the message has its name and what is allowed."""


class Settings(BaseSettings):
    """The settings; each is read from the environment variable of its name in upper case.

    An empty variable is an unset one, because Compose, Kubernetes and CI make one of `${NAME:-}`.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    techniques: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(techniques.NAMES), description="Enabled techniques: `all`, `none`, or a comma-separated list."
    )
    arm: str = Field(
        default="",
        pattern=r"^[a-z0-9_+-]{0,300}$",
        description="Name of this arm in metrics, traces and pages. Default: derived from `TECHNIQUES`.",
    )
    data_dir: Path = Field(
        default=Path(".flightdeck"), description="Directory of the embedded databases and of exported files."
    )
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL of the primary. Default: the SQLite file `flightdeck.db` in `DATA_DIR`.",
    )
    database_unindexed_url: str = Field(
        default="",
        description="URL of the twin without secondary indexes, for arms without `indexes`. "
        "Default: named after the primary.",
    )
    database_replica_url: str = Field(
        default="", description="URL of a streaming replica for `read_replicas`; PostgreSQL only. Default: none."
    )
    replica_max_lag_s: float = Field(
        default=1.0, gt=0, le=3600, description="Maximum replication lag; beyond it, reads go to the primary."
    )
    pool_size: int = Field(default=10, ge=1, le=500, description="Connections in the pool.")
    pool_max_overflow: int = Field(
        default=5, ge=0, le=500, description="Additional connections beyond `POOL_SIZE`; closed after use."
    )
    pool_timeout_s: float = Field(
        default=2.0, gt=0, le=60, description="Maximum wait for a pooled connection. Then 503."
    )
    pool_recycle_s: int = Field(default=1800, ge=1, description="Age at which a pooled connection is replaced.")
    connect_timeout_s: float = Field(default=2.0, gt=0, le=60, description="Timeout for connecting to PostgreSQL.")
    statement_timeout_s: float = Field(
        default=10.0, gt=0, le=600, description="`statement_timeout` of PostgreSQL. Then 503."
    )
    lock_timeout_s: float = Field(default=2.0, gt=0, le=600, description="`lock_timeout` of PostgreSQL. Then 503.")
    redis_url: str = Field(
        default="",
        pattern=r"^$|^(rediss?|unix)://",
        description="URL of Redis, `redis://host:port/db`: shares the cache, rate limits and status events "
        "between processes. Default: each process has its own.",
    )
    edge_url: str = Field(
        default="",
        pattern=r"^$|^https?://[^/\s@]+$",
        description="URL of the edge cache, `http://host:port`; purged by surrogate key after writes.",
    )
    cache_local_max_bytes: int = Field(
        default=64_000_000, ge=1_000_000, description="Maximum memory of the in-process cache."
    )
    cache_shared_max_bytes: int = Field(
        default=256_000_000,
        ge=1_000_000,
        description="Maximum memory of the shared cache while it is in the process, without Redis.",
    )
    cache_ttl_s: float = Field(
        default=0.0,
        ge=0,
        le=43_200,
        description="Time to live of cached responses. 0: that of each route, from a minute to an hour.",
    )
    weather_url: str = Field(
        default="http://127.0.0.1:8090",
        pattern=r"^https?://[^/\s@]+(/\S*)?$",
        description="URL of the weather upstream; `flightdeck upstream` serves one.",
    )
    weather_max_connections: int = Field(default=20, ge=1, le=1000, description="Maximum connections to the upstream.")
    weather_deadline_s: float = Field(
        default=1.0, gt=0, le=60, description="Deadline of an upstream call, retries included."
    )
    weather_stale_s: float = Field(
        default=3600.0,
        ge=1,
        description="How long a stale upstream response may be served when the upstream fails (stale-if-error).",
    )
    weather_breaker_failures: int = Field(
        default=5, ge=1, le=1000, description="Consecutive failures that open the circuit breaker."
    )
    weather_breaker_reset_s: float = Field(
        default=5.0, gt=0, le=3600, description="How long the circuit breaker stays open before a trial call."
    )
    celery_broker_url: str = Field(
        default="filesystem://",
        pattern=r"^(filesystem://|(amqps?|rediss?)://\S+)$",
        description="URL of the broker of `task_queue`: RabbitMQ (amqp) or Redis. Default: a directory in `DATA_DIR`.",
    )
    export_dir: Path | None = Field(
        default=None,
        description="Directory of exported files, shared by service and workers. Default: `exports` in `DATA_DIR`.",
    )
    export_expiry_s: float = Field(default=86_400.0, ge=1, description="Retention of exported files.")
    export_lease_s: float = Field(
        default=15.0,
        ge=1,
        le=3600,
        description="Lease duration: an export whose worker has not renewed its lease for this long is retried.",
    )
    offload_threads: int = Field(
        default=2, ge=1, le=64, description="Worker threads for CPU work; further work is queued."
    )
    max_body_bytes: int = Field(
        default=65_536,
        ge=1_024,
        le=16_777_216,
        description="Maximum size of a request body; larger ones are rejected with 413 before they are read.",
    )
    body_timeout_s: float = Field(
        default=10.0, gt=0, le=600, description="Maximum time for receiving a request body. Then 408."
    )
    max_concurrent_requests: int = Field(
        default=32,
        ge=0,
        le=10_000,
        description="Maximum requests in progress, lower while the processor is busy; others are queued. "
        "0: no limit, as in the lab's arms.",
    )
    max_queued_requests: int = Field(
        default=64, ge=0, le=10_000, description="Maximum queued requests; further ones are rejected with 503."
    )
    admission_timeout_s: float = Field(
        default=0.25,
        gt=0,
        le=60,
        description="Maximum time a request may queue; a fifth of that while the queue never empties. Then 503.",
    )
    write_rate_limit: str = Field(
        default="6000/minute",
        description="Rate limit of status updates per token, such as `100/second`. `none`: no limit, as in the lab.",
    )
    export_rate_limit: str = Field(
        default="60/minute", description="Rate limit of export requests per token. `none`: no limit, as in the lab."
    )
    start_timeout_s: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="How long a start waits for the database server before it fails; `/readyz` returns 503 meanwhile.",
    )
    shutdown_delay_s: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="Drain delay: seconds between SIGTERM and closing the socket, during which `/readyz` returns 503.",
    )
    grafana_url: str = Field(default="", description="URL of Grafana, for links on the landing page.")
    prometheus_url: str = Field(default="", description="URL of Prometheus, for links on the landing page.")
    traces_url: str = Field(default="", description="URL of the trace explorer, for links on the landing page.")
    errors_url: str = Field(default="", description="URL of the error server, for links on the landing page.")
    alerts_url: str = Field(default="", description="URL of the alert receiver, for links on the landing page.")
    write_token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token of writes. Empty: writes are disabled."
    )
    write_token_previous: SecretStr = Field(
        default=SecretStr(""),
        description="Previous `WRITE_TOKEN`, still accepted during rotation.",
    )

    @field_validator("techniques", mode="before")
    @classmethod
    def _parse_techniques(cls, value: object) -> object:
        return techniques.parse(value) if isinstance(value, str) else value

    @field_validator("write_rate_limit", "export_rate_limit")
    @classmethod
    def _valid_rate_limit(cls, value: str) -> str:
        try:
            Quota.parse(value, policy="")
        except ValueError as error:
            raise ValueError(
                "a rate limit is a number of requests per time unit, such as 60/minute, or none"
            ) from error
        return value

    @field_validator("redis_url", "edge_url", "weather_url", "celery_broker_url")
    @classmethod
    def _possible_address(cls, value: str) -> str:
        try:
            _ = urlsplit(value).port
        except ValueError as error:
            raise ValueError("brackets enclose an IPv6 address, and a port is a number from 0 to 65535") from error
        return value

    @field_validator("database_url", "database_unindexed_url", "database_replica_url")
    @classmethod
    def _with_driver(cls, value: str) -> str:
        return database_url.parsed(value).render_as_string(hide_password=False) if value else value

    @field_validator("database_replica_url")
    @classmethod
    def _replica_of_server(cls, value: str, info: ValidationInfo) -> str:
        primary = info.data.get("database_url", "")
        for url in (value, primary) if value else ():
            if not url or database_url.is_embedded(database_url.parsed(url)):
                raise ValueError("a replica needs a PostgreSQL primary: set DATABASE_URL to it")
        return value

    @model_validator(mode="after")
    def _derived(self) -> Self:
        primary = self.database_url or database_url.embedded_url(self.data_dir / "flightdeck.db")
        twin = database_url.unindexed_twin(database_url.parsed(primary)).render_as_string(hide_password=False)
        derived = {
            "arm": self.arm or techniques.arm_name(self.techniques),
            "database_url": primary,
            "database_unindexed_url": self.database_unindexed_url or twin,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        return self

    @classmethod
    def from_environ(cls, **overrides: Any) -> Self:
        """Return the settings from the environment and the overrides; raise `ConfigurationError`."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            lines = [
                f"{str(problem['loc'][0]).upper()}: {problem['msg'].removeprefix('Value error, ')}"
                for problem in error.errors()
            ]
            raise ConfigurationError("\n".join(lines)) from error

    def with_arm(self, telemetry: TelemetrySettings) -> TelemetrySettings:
        """Return the telemetry settings with the arm as a resource attribute."""
        return telemetry.model_copy(
            update={"resource_attributes": {"flightdeck.arm": self.arm, **telemetry.resource_attributes}}
        )

    @property
    def export_path(self) -> Path:
        return self.export_dir or self.data_dir / "exports"

    def uses(self, technique: str) -> bool:
        """Return whether the technique is enabled; raise `KeyError` if it is not in the catalogue."""
        if technique not in techniques.NAMES:
            raise KeyError(technique)
        return technique in self.techniques
