"""What adopters import is there, says what it gives, and costs nothing to import."""

import subprocess
import sys

import pytest

import observability
import observability.testing

PUBLIC = {
    "observability": (
        "InstrumentationError",
        "Telemetry",
        "TelemetryConfigurationError",
        "TelemetrySettings",
        "instrument",
        "set_label",
    ),
    "observability.testing": ("CapturedTelemetry", "capture_telemetry", "lifespan_client"),
}


@pytest.mark.parametrize("module", [observability, observability.testing], ids=lambda module: module.__name__)
def test_the_public_names_are_these_and_explain_themselves(module: object) -> None:
    name = module.__name__  # type: ignore[attr-defined]  # modules have one
    assert tuple(module.__all__) == PUBLIC[name]  # type: ignore[attr-defined]  # this one says what is public
    for public in PUBLIC[name]:
        assert getattr(module, public).__doc__, public


BEFORE_AND_AFTER = """
import logging, sys, threading
from opentelemetry import trace
from prometheus_client import REGISTRY

before = list(REGISTRY.collect()), logging.getLogger().handlers.copy(), threading.active_count()
import observability
after = list(REGISTRY.collect()), logging.getLogger().handlers.copy(), threading.active_count()
assert [metric.name for metric in before[0]] == [metric.name for metric in after[0]]
assert before[1:] == after[1:]
assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
print("nothing happened")
"""


def test_importing_does_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEFORE_AND_AFTER], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("nothing happened\n", "")
