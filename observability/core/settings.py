"""The telemetry settings: standard environment variables first, read once into a frozen object."""

import os
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, field_validator

DEFAULT_BUCKETS_S: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Upper bounds in seconds, the usual SLO thresholds (0.1, 0.25, 0.3, 0.5, 1) included."""


class TelemetryConfigurationError(ValueError):
    """A telemetry setting is invalid; the message has its name, the problem and what is allowed."""


def _comma_list(value: object) -> object:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _pairs(value: object) -> object:
    """Split `key=value,key=value`, the form of the OpenTelemetry variables."""
    if not isinstance(value, str):
        return value
    pairs = [word.partition("=") for word in value.split(",") if word.strip()]
    if any(not separator or not key.strip() for key, separator, _ in pairs):
        raise ValueError("expected key=value pairs separated by commas")
    return {key.strip(): text.strip() for key, _, text in pairs}


def _header_names(value: object) -> object:
    """Split a list of headers; `none` is an empty one."""
    names = _comma_list(value.lower() if isinstance(value, str) else value)
    return () if names == ["none"] else names


ResponseHeaders = Annotated[
    tuple[Literal["x-process-time", "server-timing", "x-trace-id", "x-request-id"], ...],
    BeforeValidator(_header_names),
]
Seconds = Annotated[tuple[float, ...], BeforeValidator(_comma_list)]
Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]


class TelemetrySettings(BaseModel):
    """Every telemetry setting: by name in code, by alias in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    enabled: bool = Field(default=True, description="Whether requests are instrumented at all.")
    service_name: str = Field(
        default="", alias="OTEL_SERVICE_NAME", description="The service's name; by default the application's title."
    )
    resource_attributes: Pairs = Field(
        default_factory=dict,
        alias="OTEL_RESOURCE_ATTRIBUTES",
        description="Attributes of every span and log, as `key=value,key=value`.",
    )

    metrics_exporter: Literal["prometheus", "none"] = Field(
        default="prometheus",
        alias="OTEL_METRICS_EXPORTER",
        description="`prometheus` serves metrics on a separate port, `none` only keeps them in the registry.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        alias="OTEL_EXPORTER_PROMETHEUS_HOST",
        description="The address that the metrics port listens on.",
    )
    metrics_port: int = Field(
        default=9464,
        ge=0,
        le=65535,
        alias="OTEL_EXPORTER_PROMETHEUS_PORT",
        description="The metrics port of the first worker; others take the next free one. 0 takes any.",
    )
    metrics_targets_dir: str = Field(
        default="",
        alias="OBSERVABILITY_METRICS_TARGETS_DIR",
        description="Directory for `file_sd_configs` of Prometheus, where each worker writes its metrics address.",
    )
    latency_buckets_s: Seconds = Field(
        default=DEFAULT_BUCKETS_S,
        alias="OBSERVABILITY_LATENCY_BUCKETS_S",
        description="Upper bounds of the latency histograms, in seconds, comma separated.",
    )
    slo_thresholds_s: Seconds = Field(
        default=(),
        alias="OBSERVABILITY_SLO_THRESHOLDS_S",
        description="Latency objectives in seconds; each becomes a bucket bound of every latency histogram.",
    )

    response_headers: ResponseHeaders = Field(
        default=("x-process-time", "server-timing", "x-trace-id", "x-request-id"),
        alias="OBSERVABILITY_RESPONSE_HEADERS",
        description="Headers added to responses, comma separated; `none` for none.",
    )

    traces_exporter: Literal["otlp", "none"] = Field(
        default="otlp",
        alias="OTEL_TRACES_EXPORTER",
        description="`otlp` exports spans if an endpoint is set, `none` never does.",
    )
    traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field(
        default="parentbased_always_on",
        alias="OTEL_TRACES_SAMPLER",
        description="Which requests are sampled; the parent-based samplers follow the caller's decision.",
    )
    traces_sampler_arg: float = Field(
        default=1.0,
        ge=0,
        le=1,
        alias="OTEL_TRACES_SAMPLER_ARG",
        description="The share of sampled requests, for the ratio samplers.",
    )
    sample_token: SecretStr = Field(
        default=SecretStr(""),
        alias="OBSERVABILITY_SAMPLE_TOKEN",
        description="Requests with this value in the header `X-Sample-Token` are always sampled; disabled by default.",
    )
    slow_request_s: float = Field(
        default=1.0,
        gt=0,
        alias="OBSERVABILITY_SLOW_REQUEST_S",
        description="Requests that take this long or fail have a span even if they were not sampled.",
    )
    otlp_endpoint: str = Field(
        default="", alias="OTEL_EXPORTER_OTLP_ENDPOINT", description="Base URL of an OTLP/HTTP collector."
    )
    otlp_traces_endpoint: str = Field(
        default="",
        alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        description="Full URL for spans; by default `/v1/traces` below the base URL.",
    )
    otlp_logs_endpoint: str = Field(
        default="",
        alias="OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        description="Full URL for logs; by default `/v1/logs` below the base URL.",
    )
    otlp_headers: Pairs = Field(
        default_factory=dict,
        alias="OTEL_EXPORTER_OTLP_HEADERS",
        repr=False,
        description="Headers of every export, as `key=value,key=value`.",
    )
    otlp_timeout_s: float = Field(
        default=10.0,
        gt=0,
        alias="OTEL_EXPORTER_OTLP_TIMEOUT",
        description="Timeout of an export, in seconds.",
    )
    export_queue_size: int = Field(
        default=2048,
        ge=1,
        alias="OTEL_BSP_MAX_QUEUE_SIZE",
        description="Maximum number of queued spans; further ones are dropped and counted.",
    )
    export_batch_size: int = Field(
        default=512, ge=1, alias="OTEL_BSP_MAX_EXPORT_BATCH_SIZE", description="Maximum number of spans in one export."
    )
    export_delay_ms: int = Field(
        default=5000, ge=1, alias="OTEL_BSP_SCHEDULE_DELAY", description="Maximum time between two exports, in ms."
    )
    shutdown_timeout_s: float = Field(
        default=3.0,
        gt=0,
        alias="OBSERVABILITY_SHUTDOWN_TIMEOUT_S",
        description="Time limit of all final exports together at shutdown, in seconds.",
    )

    sentry_dsn: SecretStr = Field(
        default=SecretStr(""), alias="SENTRY_DSN", description="DSN that errors are reported to; none by default."
    )
    sentry_environment: str = Field(
        default="", alias="SENTRY_ENVIRONMENT", description="The environment of reported errors."
    )
    sentry_release: str = Field(default="", alias="SENTRY_RELEASE", description="The release of reported errors.")
    trace_url: str = Field(
        default="",
        alias="OBSERVABILITY_TRACE_URL",
        description="URL that shows a trace, with `{trace_id}` in its place; error reports link to it.",
    )

    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        default="info", alias="LOG_LEVEL", description="The least severe log record that is written."
    )
    log_format: Literal["auto", "json", "console", "none"] = Field(
        default="auto",
        alias="LOG_FORMAT",
        description="`auto` is `console` on a terminal and `json` elsewhere; `none` does not configure logging.",
    )
    logs_exporter: Literal["none", "otlp"] = Field(
        default="none", alias="OTEL_LOGS_EXPORTER", description="`otlp` also exports logs if an endpoint is set."
    )
    access_log: bool = Field(
        default=True, alias="OBSERVABILITY_ACCESS_LOG", description="Whether every request is logged."
    )

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("trace_url")
    @classmethod
    def _names_the_trace(cls, value: str) -> str:
        if value and not (value.startswith(("http://", "https://")) and "{trace_id}" in value):
            raise ValueError("expected a URL with {trace_id} in it")
        return value

    @field_validator("latency_buckets_s", "slo_thresholds_s")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < bound < float("inf") for bound in value):
            raise ValueError("every bound must be a positive, finite number of seconds")
        return tuple(sorted(set(value)))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Return the settings of this process; raise `TelemetryConfigurationError` naming every bad variable."""
        aliases = [field.alias for field in cls.model_fields.values() if field.alias]
        given = {alias: environ[alias] for alias in aliases if environ.get(alias, "").strip()}
        given["enabled"] = "false" if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" else "true"
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            lines = [
                f"{problem['loc'][0]}: {problem['msg'].removeprefix('Value error, ')}" for problem in error.errors()
            ]
            raise TelemetryConfigurationError("\n".join(lines)) from error

    def otlp_url(self, signal: Literal["traces", "logs"]) -> str:
        """Return the URL that the signal is exported to; empty if no endpoint is set."""
        own = self.otlp_traces_endpoint if signal == "traces" else self.otlp_logs_endpoint
        return own or (self.otlp_endpoint and f"{self.otlp_endpoint.rstrip('/')}/v1/{signal}")

    @property
    def bounds_s(self) -> tuple[float, ...]:
        """The bucket bounds of the latency histograms: the configured ones and every SLO threshold."""
        return tuple(sorted({*self.latency_buckets_s, *self.slo_thresholds_s}))
