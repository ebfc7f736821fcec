"""Telemetry settings: standard names, read once, and errors that say what is allowed."""

from typing import Any

import pytest

from observability import TelemetryConfigurationError, TelemetrySettings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert TelemetrySettings.from_environ({}) == TelemetrySettings()


def test_standard_variables_are_read() -> None:
    settings = TelemetrySettings.from_environ(
        {
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_RESOURCE_ATTRIBUTES": "team=blue, deployment.environment.name=test",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.25",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer x",
            "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
            "OBSERVABILITY_SLO_THRESHOLDS_S": "0.3, 0.123",
            "LOG_LEVEL": "WARNING",
            "OTEL_SDK_DISABLED": "TRUE",
        }
    )
    assert settings.service_name == "shop"
    assert settings.resource_attributes == {"team": "blue", "deployment.environment.name": "test"}
    assert settings.traces_sampler_arg == 0.25
    assert settings.otlp_headers == {"authorization": "Bearer x"}
    assert settings.metrics_port == 0
    assert settings.slo_thresholds_s == (0.123, 0.3)
    assert set(settings.slo_thresholds_s) <= set(settings.bounds_s)
    assert settings.log_level == "warning"
    assert not settings.enabled


def test_an_empty_variable_counts_as_unset() -> None:
    assert TelemetrySettings.from_environ({"OTEL_SERVICE_NAME": "", "OTEL_EXPORTER_PROMETHEUS_PORT": " "}) == (
        TelemetrySettings()
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "eighty"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "70000"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
        ("OBSERVABILITY_LATENCY_BUCKETS_S", "0.1,-1"),
        ("OBSERVABILITY_SLO_THRESHOLDS_S", "fast"),
        ("OBSERVABILITY_TRACE_URL", "http://grafana.test/explore"),
        ("OBSERVABILITY_TRACE_URL", "{trace_id}"),
        ("LOG_FORMAT", "xml"),
        *(
            (f"OTEL_EXPORTER_OTLP{signal}_ENDPOINT", address)
            for signal in ("", "_TRACES", "_LOGS")
            for address in ("http://[::1", "http://collector:65536", "http://collector:0", "collector:4318", "http://")
        ),
    ],
)
def test_a_bad_variable_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(TelemetryConfigurationError, match=name):
        TelemetrySettings.from_environ({name: value, "OTEL_SERVICE_NAME": "shop"})


def test_every_bad_variable_is_named_at_once() -> None:
    bad = {"LOG_FORMAT": "xml", "OTEL_TRACES_SAMPLER": "x"}
    with pytest.raises(TelemetryConfigurationError) as refused:
        TelemetrySettings.from_environ(bad)
    assert all(name in str(refused.value) for name in bad)


@pytest.mark.parametrize("shown", [repr, str])
def test_secrets_are_not_shown(shown: Any) -> None:
    settings = TelemetrySettings.from_environ(
        {
            "SENTRY_DSN": "https://hunter2@errors.example/1",
            "OBSERVABILITY_SAMPLE_TOKEN": "hunter2",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=hunter2",
        }
    )
    assert "hunter2" not in shown(settings)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TelemetrySettings().metrics_port = 1  # type: ignore[misc]  # what the test is about


def test_every_setting_has_a_description() -> None:
    for name, field in TelemetrySettings.model_fields.items():
        assert field.description, name
        assert field.alias or name == "enabled"
