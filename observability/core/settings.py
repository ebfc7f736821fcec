"""The telemetry settings: standard environment variables first, read once into a frozen object."""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit

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
    """Split `key=value,key=value` and decode percent-encoded characters, as OpenTelemetry specifies its variables."""
    if not isinstance(value, str):
        return value
    pairs = [word.partition("=") for word in value.split(",") if word.strip()]
    if any(not separator or not key.strip() for key, separator, _ in pairs):
        raise ValueError("expected key=value pairs separated by commas")
    decoded = {_decoded(key): _decoded(text) for key, _, text in pairs}
    if any(not character.isprintable() for item in decoded.items() for text in item for character in text):
        raise ValueError("a control character is not allowed, encoded or not")
    return decoded


def _decoded(text: str) -> str:
    try:
        return unquote(text.strip(), errors="strict")
    except UnicodeDecodeError as error:
        raise ValueError("expected UTF-8 in percent-encoded characters") from error


def _header_names(value: object) -> object:
    """Split a list of headers; `none` is an empty one."""
    names = _comma_list(value.lower() if isinstance(value, str) else value)
    return () if names == ["none"] else names


ResponseHeaders = Annotated[
    tuple[Literal["x-process-time", "server-timing", "x-trace-id", "x-request-id"], ...],
    BeforeValidator(_header_names),
]
Names = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]
Seconds = Annotated[tuple[float, ...], BeforeValidator(_comma_list)]
Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]


def _setting(variable: str, description: str, **options: Any) -> Any:
    return Field(alias=variable, description=description, **options)


class TelemetrySettings(BaseModel):
    """Every telemetry setting: by name in code, by alias in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    enabled: bool = Field(default=True, description="Whether requests are instrumented at all.")
    service_name: str = _setting(
        "OTEL_SERVICE_NAME", "The service's name; by default the application's title.", default=""
    )
    resource_attributes: Pairs = _setting(
        "OTEL_RESOURCE_ATTRIBUTES",
        "Attributes of every span and log, as `key=value,key=value`, percent-encoded.",
        default_factory=dict,
    )

    metrics_exporter: Literal["prometheus", "none"] = _setting(
        "OTEL_METRICS_EXPORTER",
        "`prometheus` serves metrics on a separate port, `none` only keeps them in the registry.",
        default="prometheus",
    )
    metrics_host: str = _setting(
        "OTEL_EXPORTER_PROMETHEUS_HOST", "The address that the metrics port listens on.", default="127.0.0.1"
    )
    metrics_port: int = _setting(
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        "The metrics port of the first worker; others take the next free one. 0 takes any.",
        default=9464,
        ge=0,
        le=65535,
    )
    metrics_targets_dir: str = _setting(
        "OBSERVABILITY_METRICS_TARGETS_DIR",
        "Directory for `file_sd_configs` of Prometheus, where each worker writes its metrics address.",
        default="",
    )
    latency_buckets_s: Seconds = _setting(
        "OBSERVABILITY_LATENCY_BUCKETS_S",
        "Upper bounds of the latency histograms, in seconds, comma separated.",
        default=DEFAULT_BUCKETS_S,
    )
    slo_thresholds_s: Seconds = _setting(
        "OBSERVABILITY_SLO_THRESHOLDS_S",
        "Latency objectives in seconds; each becomes a bucket bound of every latency histogram.",
        default=(),
    )

    semconv_metrics: bool = _setting(
        "OBSERVABILITY_SEMCONV_METRICS",
        "Whether requests are also counted under the name of the semantic conventions, "
        "`http_server_request_duration_seconds`.",
        default=False,
    )

    response_headers: ResponseHeaders = _setting(
        "OBSERVABILITY_RESPONSE_HEADERS",
        "Headers added to responses, comma separated; `none` for none.",
        default=("x-process-time", "server-timing", "x-trace-id", "x-request-id"),
    )

    http: Literal["builtin", "official"] = _setting(
        "OBSERVABILITY_HTTP",
        "`official`: HTTP is left to prometheus-fastapi-instrumentator and opentelemetry-instrumentation-fastapi.",
        default="builtin",
    )
    excluded_urls: str = _setting(
        "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS",
        "Regular expressions of URLs that are not traced, comma separated; by default `OTEL_PYTHON_EXCLUDED_URLS`.",
        default="",
    )
    captured_request_headers: Names = _setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        "Regular expressions of request headers that become attributes of spans, comma separated.",
        default=(),
    )
    captured_response_headers: Names = _setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",
        "Regular expressions of response headers that become attributes of spans, comma separated.",
        default=(),
    )
    sanitized_headers: Names = _setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS",
        "Regular expressions of captured headers without their values; those with names of secrets never have them.",
        default=(),
    )

    traces_exporter: Literal["otlp", "none"] = _setting(
        "OTEL_TRACES_EXPORTER", "`otlp` exports spans if an endpoint is set, `none` never does.", default="otlp"
    )
    traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = _setting(
        "OTEL_TRACES_SAMPLER",
        "Which requests are sampled; the parent-based samplers follow the caller's decision.",
        default="parentbased_always_on",
    )
    traces_sampler_arg: float = _setting(
        "OTEL_TRACES_SAMPLER_ARG", "The share of sampled requests, for the ratio samplers.", default=1.0, ge=0, le=1
    )
    operation_spans: bool = _setting(
        "OBSERVABILITY_OPERATION_SPANS",
        "Whether sampled requests have FastAPI's spans of dependencies, endpoint, serialization and background tasks.",
        default=False,
    )
    sample_token: SecretStr = _setting(
        "OBSERVABILITY_SAMPLE_TOKEN",
        "Requests with this value in the header `X-Sample-Token` are always sampled; disabled by default.",
        default=SecretStr(""),
    )
    slow_request_s: float = _setting(
        "OBSERVABILITY_SLOW_REQUEST_S",
        "Requests that take this long or fail are exported with their child spans even if they were not sampled.",
        default=1.0,
        gt=0,
    )
    otlp_endpoint: str = _setting("OTEL_EXPORTER_OTLP_ENDPOINT", "Base URL of an OTLP/HTTP collector.", default="")
    otlp_traces_endpoint: str = _setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "Full URL for spans; by default `/v1/traces` below the base URL.",
        default="",
    )
    otlp_logs_endpoint: str = _setting(
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "Full URL for logs; by default `/v1/logs` below the base URL.", default=""
    )
    otlp_headers: Pairs = _setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "Headers of every export, as `key=value,key=value`, percent-encoded.",
        default_factory=dict,
        repr=False,
    )
    otlp_timeout_s: float = _setting(
        "OTEL_EXPORTER_OTLP_TIMEOUT", "Timeout of an export, in seconds.", default=10.0, gt=0
    )
    export_queue_size: int = _setting(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "Maximum number of queued spans; further ones are dropped and counted.",
        default=2048,
        ge=1,
    )
    export_batch_size: int = _setting(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "Maximum number of spans in one export.", default=512, ge=1
    )
    export_delay_ms: int = _setting(
        "OTEL_BSP_SCHEDULE_DELAY", "Maximum time between two exports, in ms.", default=5000, ge=1
    )
    shutdown_timeout_s: float = _setting(
        "OBSERVABILITY_SHUTDOWN_TIMEOUT_S",
        "Time limit of all final exports together at shutdown, in seconds.",
        default=3.0,
        gt=0,
    )

    sentry_dsn: SecretStr = _setting(
        "SENTRY_DSN", "DSN that errors are reported to; none by default.", default=SecretStr("")
    )
    sentry_environment: str = _setting("SENTRY_ENVIRONMENT", "The environment of reported errors.", default="")
    sentry_release: str = _setting("SENTRY_RELEASE", "The release of reported errors.", default="")
    trace_url: str = _setting(
        "OBSERVABILITY_TRACE_URL",
        "URL that shows a trace, with `{trace_id}` in its place; error reports link to it.",
        default="",
    )

    log_level: Literal["debug", "info", "warning", "error", "critical"] = _setting(
        "LOG_LEVEL", "The least severe log record that is written.", default="info"
    )
    log_format: Literal["auto", "json", "console", "none"] = _setting(
        "LOG_FORMAT",
        "`auto` is `console` on a terminal and `json` elsewhere; `none` leaves logging as it is and writes no "
        "access log.",
        default="auto",
    )
    logs_exporter: Literal["none", "otlp"] = _setting(
        "OTEL_LOGS_EXPORTER", "`otlp` also exports logs if an endpoint is set.", default="none"
    )
    access_log: bool = _setting("OBSERVABILITY_ACCESS_LOG", "Whether every request is logged.", default=True)

    whatif: bool = _setting(
        "OBSERVABILITY_WHATIF",
        "Whether to observe what each technique would have done, for `flightdeck advise`.",
        default=False,
    )

    whatif_explain: bool = _setting(
        "OBSERVABILITY_WHATIF_EXPLAIN",
        "Whether the what-if metrics also explain slow read statements, on connections of their own, to find full "
        "scans.",
        default=False,
    )

    faults: bool = _setting(
        "OBSERVABILITY_FAULTS",
        "Whether requests to the metrics port can block the event loop or hold every database connection, for drills.",
        default=False,
    )

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator(
        "excluded_urls", "captured_request_headers", "captured_response_headers", "sanitized_headers", mode="after"
    )
    @classmethod
    def _regular_expressions(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for pattern in value.split(",") if isinstance(value, str) else value:
            try:
                re.compile(pattern.strip())
            except re.error as error:
                raise ValueError(f"expected regular expressions separated by commas; {pattern!r}: {error}") from error
        return value

    @field_validator("trace_url")
    @classmethod
    def _names_the_trace(cls, value: str) -> str:
        if value and not (value.startswith(("http://", "https://")) and "{trace_id}" in value):
            raise ValueError("expected a URL with {trace_id} in it")
        return value

    @field_validator("otlp_endpoint", "otlp_traces_endpoint", "otlp_logs_endpoint")
    @classmethod
    def _possible_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            is_possible = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:  # brackets without an IPv6 address, or a port that is no number up to 65535
            is_possible = False
        if value and not is_possible:
            raise ValueError("expected an http:// or https:// URL, such as http://localhost:4318")
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
        given.setdefault("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", environ.get("OTEL_PYTHON_EXCLUDED_URLS", "").strip())
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
