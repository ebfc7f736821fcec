"""The application of `test_under_a_server`, for servers that are given a module; telemetry from the environment."""

from observability import instrument
from tests.observability.test_under_a_server import shop

app = shop()
instrument(app)
