"""Headers and resource attributes of the environment are decoded, as OpenTelemetry specifies them."""

import pytest

from observability.core.settings import TelemetryConfigurationError, TelemetrySettings

VARIABLES = {"OTEL_EXPORTER_OTLP_HEADERS": "otlp_headers", "OTEL_RESOURCE_ATTRIBUTES": "resource_attributes"}


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    ("given", "pairs"),
    [
        ("Authorization=Basic%20dXNlcjpw", {"Authorization": "Basic dXNlcjpw"}),
        ("a=1, b = 2 ,", {"a": "1", "b": "2"}),
        ("list=a%2Cb%3Dc,next=1", {"list": "a,b=c", "next": "1"}),
        ("token=YQ==", {"token": "YQ=="}),
        ("name=caf%C3%A9", {"name": "café"}),  # codespell:ignore caf
        ("my%2Ekey=1", {"my.key": "1"}),
        ("share=100%,plus=a+b", {"share": "100%", "plus": "a+b"}),
        ("empty=", {"empty": ""}),
    ],
)
def test_percent_encoded_pairs_are_decoded(variable: str, given: str, pairs: dict[str, str]) -> None:
    assert getattr(TelemetrySettings.from_environ({variable: given}), VARIABLES[variable]) == pairs


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("given", ["a=%0d%0aX-Other:1", "a%00=1", "a=%FF", "a", "=1"])
def test_what_cannot_be_decoded_or_sent_is_a_configuration_error(variable: str, given: str) -> None:
    with pytest.raises(TelemetryConfigurationError, match=variable):
        TelemetrySettings.from_environ({variable: given})


def test_values_given_in_code_stay_as_they_are() -> None:
    assert TelemetrySettings(otlp_headers={"a": "100%25"}).otlp_headers == {"a": "100%25"}
