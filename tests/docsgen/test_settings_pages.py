from docsgen.reference import render
from observability.core.settings import TelemetrySettings


def test_every_telemetry_setting_is_documented() -> None:
    page = render("telemetry-settings.md")
    for name, field in TelemetrySettings.model_fields.items():
        assert f"| `{name}` |" in page
        assert field.description
        assert field.alias is None or f"| `{field.alias}` |" in page


def test_a_choice_is_shown_with_its_alternatives_and_a_number_with_its_default() -> None:
    page = render("telemetry-settings.md")
    assert "| `OTEL_METRICS_EXPORTER` | `metrics_exporter` | `prometheus` (or `none`) |" in page
    assert "| `OTEL_EXPORTER_PROMETHEUS_PORT` | `metrics_port` | `9464` |" in page
