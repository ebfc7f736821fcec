"""`import observability` loads what every application needs; the rest is imported where it is used."""

import subprocess
import sys

import pytest

PROGRAM = "import sys, fastapi; before = set(sys.modules); import observability; print(*sys.modules.keys() - before)"

HEAVY = (
    *("aiosqlite", "asyncpg", "celery", "google.protobuf", "greenlet", "grpc", "httpx", "kombu", "redis", "requests"),
    *("sentry_sdk", "sqlalchemy", "uvicorn"),
    *("structlog", "rich", "pygments", "attr"),  # structlog imports rich where that is installed
    *("opentelemetry.exporter", "opentelemetry.sdk._logs", "opentelemetry.sdk.metrics"),
    *("opentelemetry.instrumentation", "asgiref", "wrapt"),
)


@pytest.fixture(scope="module")
def imported() -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


@pytest.mark.parametrize("package", HEAVY)
def test_the_import_loads_no_heavy_package(package: str, imported: list[str]) -> None:
    assert [name for name in imported if f"{name}.".startswith(f"{package}.")] == []


def test_the_import_loads_few_modules_of_other_packages(imported: list[str]) -> None:
    others = [name for name in imported if name.partition(".")[0] not in {"observability", *sys.stdlib_module_names}]
    assert len(others) < 110, sorted(others)
