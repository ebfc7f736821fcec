"""Without the packages of an extra everything else works, and using it names the command that installs it."""

import subprocess
import sys

import pytest

HIDDEN = ("celery", "httpx", "redis", "sentry_sdk", "sqlalchemy", "opentelemetry.exporter")

PROGRAM = f"""
import asyncio, os, sys

HIDDEN = {HIDDEN!r}

class Hidden:
    def find_spec(self, name, path=None, target=None):
        instrumentation = name.startswith("opentelemetry.instrumentation.") and name.endswith(HIDDEN)
        if name.startswith(HIDDEN) or instrumentation:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
os.environ["OTEL_METRICS_EXPORTER"] = "none"
from fastapi import FastAPI
from observability import instrument

app = FastAPI()

async def main():
    async with app.router.lifespan_context(app):
        print("runs")

EXPRESSION
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("instrument(app)", ""),
        ("instrument(app, engines='auto')", "observing engines needs the package 'sqlalchemy'@[sqlalchemy]"),
        ("instrument(app).watch_engine(None)", "observing engines needs the package 'sqlalchemy'@[sqlalchemy]"),
        ("instrument(app, http_clients={'a': None})", "instrument(http_clients=...) needs the package 'httpx'@[httpx]"),
        (
            "instrument(app, redis=[None])",
            "instrument(redis=...) needs the package 'opentelemetry.instrumentation.redis'@[redis]",
        ),
        ("instrument(app).serve_meters()", "serve_meters() needs the package 'opentelemetry.exporter'@[meters]"),
        ("instrument(app, celery=1)", "instrument(celery=...) needs the package 'celery'@[celery]"),
        (
            "os.environ['SENTRY_DSN'] = 'http://a@127.0.0.1:9/1'; instrument(app)",
            "SENTRY_DSN needs the package 'sentry_sdk'@[sentry]; errors are not reported",
        ),
        (
            "os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://127.0.0.1:9'; instrument(app)",
            (
                "exporting spans to http://127.0.0.1:9/v1/traces needs the package 'opentelemetry.exporter'@[otlp]; "
                "no spans are exported"
            ),
        ),
        (
            (
                "os.environ.update(OTEL_LOGS_EXPORTER='otlp', OTEL_EXPORTER_OTLP_ENDPOINT='http://127.0.0.1:9'); "
                "instrument(app)"
            ),
            "OTEL_LOGS_EXPORTER needs the package 'opentelemetry.exporter'@[otlp]; logs are not exported",
        ),
    ],
)
def test_a_missing_extra_is_named_with_its_command(expression: str, message: str) -> None:
    program = PROGRAM.replace("EXPRESSION", expression)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    named = message.replace("@[", ", which is not installed: pip install 'flightdeck-observability[").replace("]", "]'")
    assert named in run.stderr
    arguments_fail = any(argument in message for argument in ("instrument(", "observing", "serve_meters"))
    assert (run.stdout == "runs\n") is not arguments_fail
    assert ("Traceback" in run.stderr) is arguments_fail
