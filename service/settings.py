"""The service's settings: read once from the environment into a frozen object."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from observability import TelemetrySettings
from service import techniques
from service.core import database_url
from service.core.quota import Quota


class ConfigurationError(ValueError):
    """The start is refused: a setting's name, its value and what is allowed."""


class Settings(BaseSettings):
    """Every setting of the service, by its environment variable in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    techniques: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(techniques.NAMES), description="`all`, `none`, or a comma list of techniques."
    )
    arm: str = Field(
        default="",
        pattern=r"^[a-z0-9_+-]{0,300}$",
        description="The name of this process in metrics, traces and pages; by default it follows the techniques.",
    )
    data_dir: Path = Field(default=Path(".flightdeck"), description="Where the embedded databases are.")
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL of the primary; by default the SQLite file `flightdeck.db` in `DATA_DIR`.",
    )
    database_unindexed_url: str = Field(
        default="",
        description="The twin without secondary indexes, for arms without `indexes`; by default beside the primary.",
    )
    database_replica_url: str = Field(
        default="", description="A streaming replica for `read_replicas`; PostgreSQL only, none by default."
    )
    replica_max_lag_s: float = Field(
        default=1.0, gt=0, le=3600, description="How far the replica may be behind before reads go to the primary."
    )
    pool_size: int = Field(default=10, ge=1, le=500, description="Connections that the pool keeps.")
    pool_max_overflow: int = Field(
        default=5, ge=0, le=500, description="Connections beyond `POOL_SIZE`, closed after use."
    )
    pool_timeout_s: float = Field(default=2.0, gt=0, le=60, description="Longest wait for a connection before a 503.")
    pool_recycle_s: int = Field(default=1800, ge=1, description="Age at which a connection is replaced.")
    connect_timeout_s: float = Field(
        default=2.0, gt=0, le=60, description="Longest wait for a new connection to PostgreSQL."
    )
    statement_timeout_s: float = Field(
        default=10.0, gt=0, le=600, description="After which PostgreSQL cancels a statement, and the answer is a 503."
    )
    lock_timeout_s: float = Field(
        default=2.0, gt=0, le=600, description="Longest wait for another write's lock in PostgreSQL."
    )
    redis_url: str = Field(
        default="",
        pattern=r"^$|^(rediss?|unix)://",
        description="The shared cache, `redis://host:port/db`; by default it lives in the process.",
    )
    edge_url: str = Field(
        default="",
        pattern=r"^$|^https?://[^/\s@]+$",
        description="The cache in front of the service, `http://host:port`, which is told what writes make stale.",
    )
    cache_local_max_bytes: int = Field(
        default=64_000_000, ge=1_000_000, description="Memory that the in-process cache takes at most."
    )
    cache_shared_max_bytes: int = Field(
        default=256_000_000, ge=1_000_000, description="The same of the shared cache while it lives in the process."
    )
    cache_ttl_s: float = Field(
        default=0.0,
        ge=0,
        le=43_200,
        description="How long cached answers are fresh; 0 is each route's own time, from a minute to an hour.",
    )
    weather_url: str = Field(
        default="http://127.0.0.1:8090",
        pattern=r"^https?://[^/\s@]+(/\S*)?$",
        description="The weather upstream; `flightdeck upstream` serves one.",
    )
    weather_max_connections: int = Field(default=20, ge=1, le=1000, description="Connections to the upstream at most.")
    weather_deadline_s: float = Field(
        default=1.0, gt=0, le=60, description="Longest wait for the upstream, its retries included."
    )
    weather_stale_s: float = Field(
        default=3600.0, ge=1, description="How long an upstream answer may stand in for one that does not come."
    )
    weather_breaker_failures: int = Field(
        default=5, ge=1, le=1000, description="Upstream failures in a row after which it is left alone."
    )
    weather_breaker_reset_s: float = Field(
        default=5.0, gt=0, le=3600, description="How long a failing upstream is left alone before one trial."
    )
    celery_broker_url: str = Field(
        default="filesystem://",
        pattern=r"^(filesystem://|(amqps?|rediss?)://\S+)$",
        description="The broker of `task_queue`: RabbitMQ (amqp), Redis, or by default a folder in `DATA_DIR`.",
    )
    export_dir: Path | None = Field(
        default=None,
        description="Where exported files are; service and workers share it. By default `exports` in `DATA_DIR`.",
    )
    export_expiry_s: float = Field(default=86_400.0, ge=1, description="How long an exported file is kept.")
    export_lease_s: float = Field(
        default=15.0, ge=1, le=3600, description="Silence after which an export's worker is taken for dead."
    )
    offload_threads: int = Field(
        default=2, ge=1, le=64, description="Threads that compute at the same time; further work waits for one."
    )
    max_body_bytes: int = Field(
        default=65_536, ge=1_024, le=16_777_216, description="Largest request body; larger ones are refused unread."
    )
    body_timeout_s: float = Field(
        default=10.0, gt=0, le=600, description="Longest wait for a request's body; a slower one is answered 408."
    )
    max_concurrent_requests: int = Field(
        default=32,
        ge=0,
        le=10_000,
        description="Requests that are worked on at once, fewer while the processor is busy; others wait for a "
        "turn. 0 is no limit, as in the lab's arms.",
    )
    max_queued_requests: int = Field(
        default=64, ge=0, le=10_000, description="Requests that wait for a turn at most; the next one is answered 503."
    )
    admission_timeout_s: float = Field(
        default=0.25,
        gt=0,
        le=60,
        description="Longest wait for a turn, a fifth of it in a line that stands; then the answer is 503.",
    )
    write_rate_limit: str = Field(
        default="6000/minute",
        description="Status updates that a token may make, such as `100/second`; empty is no limit, as in the lab.",
    )
    export_rate_limit: str = Field(
        default="60/minute", description="Exports that a token may ask for; empty is no limit, as in the lab."
    )
    start_timeout_s: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="How long a start waits for a database server, not ready meanwhile, before it gives up.",
    )
    shutdown_delay_s: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="After SIGTERM, how long `/readyz` says no while requests are still taken.",
    )
    grafana_url: str = Field(default="", description="Where Grafana is, for links on the landing page.")
    prometheus_url: str = Field(default="", description="Where Prometheus is, for links on the landing page.")
    traces_url: str = Field(default="", description="Where traces are explored, for links on the landing page.")
    errors_url: str = Field(default="", description="Where the error server is, for links on the landing page.")
    alerts_url: str = Field(default="", description="Where delivered alerts are shown, for links on the landing page.")
    write_token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token of writes; without one, writes are off."
    )
    write_token_previous: SecretStr = Field(
        default=SecretStr(""),
        description="The token before `WRITE_TOKEN`, still taken while its bearers change to the new one.",
    )

    @field_validator("techniques", mode="before")
    @classmethod
    def _parsed(cls, value: object) -> object:
        return techniques.parse(value) if isinstance(value, str) else value

    @field_validator("write_rate_limit", "export_rate_limit")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        try:
            Quota.parse(value, policy="")
        except ValueError as error:
            raise ValueError("a rate is a number of requests and a time, such as 60/minute") from error
        return value

    @field_validator("database_url", "database_unindexed_url", "database_replica_url")
    @classmethod
    def _with_driver(cls, value: str) -> str:
        return database_url.parsed(value).render_as_string(hide_password=False) if value else value

    @field_validator("database_replica_url")
    @classmethod
    def _follows_a_server(cls, value: str, info: ValidationInfo) -> str:
        primary = info.data.get("database_url", "")
        for url in (value, primary) if value else ():
            if not url or database_url.is_embedded(database_url.parsed(url)):
                raise ValueError("a replica follows a PostgreSQL server: set DATABASE_URL to its primary")
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
    def from_environ(cls, **instead: Any) -> Self:
        """Return the settings of this process, with some given instead; raise `ConfigurationError` for bad ones."""
        try:
            return cls(**instead)
        except ValidationError as error:
            lines = [
                f"{str(problem['loc'][0]).upper()}: {problem['msg'].removeprefix('Value error, ')}"
                for problem in error.errors()
            ]
            raise ConfigurationError("\n".join(lines)) from error

    def with_arm(self, telemetry: TelemetrySettings) -> TelemetrySettings:
        """Return telemetry settings by which every span and log names the arm, as every metric does."""
        return telemetry.model_copy(
            update={"resource_attributes": {"flightdeck.arm": self.arm, **telemetry.resource_attributes}}
        )

    @property
    def export_path(self) -> Path:
        """Where exported files are."""
        return self.export_dir or self.data_dir / "exports"

    def uses(self, technique: str) -> bool:
        """Return whether the technique is on; raise `KeyError` for a name the catalogue lacks."""
        if technique not in techniques.NAMES:
            raise KeyError(technique)
        return technique in self.techniques
