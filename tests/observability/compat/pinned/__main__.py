"""Test that applications with pinned versions keep every pin and pass their own tests with `instrument()`.

Each application gets a fresh environment with its pins, in which its tests pass without the package. Then the package
is installed beside it, which must change no version, and the tests have to pass with it.

Part of `make versions`, or `python -m tests.observability.compat.pinned shelf` for one of them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lab.drills.run.errors import MissingExecutable
from tests.observability.compat.environment import Environment
from tests.servers.program import installed
from tests.servers.redis import RedisServer

HERE: Final = Path(__file__).parent
PACKAGE: Final = HERE.parents[3] / "observability"
TOOLS: Final = ("pytest==8.4.2",)


@dataclass(frozen=True, kw_only=True)
class Pinned:
    name: str
    """Of the application's module, and of the file with its tests."""
    extra: str
    pins: Sequence[str]


APPLICATIONS: Final = (
    Pinned(
        name="shelf",
        extra="sqlalchemy",
        pins=("fastapi==0.115.0", "starlette==0.38.6", "sqlalchemy==2.0.30", "httpx==0.27.0"),
    ),
    Pinned(name="counter", extra="redis", pins=("fastapi==0.115.14", "redis==5.0.8", "httpx==0.27.0")),
    Pinned(name="rates", extra="httpx", pins=("fastapi==0.115.12", "httpx==0.27.2")),
)


def passes(environment: Environment, name: str, **settings: str) -> bool:
    """Run the tests of an application, print what they say, and return whether they pass."""
    apart = ("-c", os.devnull, f"--rootdir={HERE}", f"--confcutdir={HERE}", "-p", "client", "-p", "no:cacheprovider")
    command = [str(environment.python), "-m", "pytest", "-q", *apart, f"tests_{name}.py"]
    return subprocess.run(command, check=False, cwd=HERE, env=os.environ | settings).returncode == 0


def failures(application: Pinned, **settings: str) -> Iterator[str]:
    """Yield what is wrong with the application beside the package."""
    with TemporaryDirectory() as directory:
        environment = Environment(Path(directory))
        environment.install(*application.pins, *TOOLS)
        before = environment.versions()
        if not passes(environment, application.name, **settings):
            yield "its tests fail without instrument()"
        environment.install(f"{PACKAGE}[{application.extra},otlp]")
        if changed := before - environment.versions():
            yield f"the package changes {', '.join(sorted(changed))}"
        if not passes(environment, application.name, INSTRUMENTED="true", **settings):
            yield "its tests fail with instrument()"


@contextmanager
def redis_settings() -> Iterator[dict[str, str]]:
    """Run a Redis; without the program yield nothing, in CI raise `MissingExecutable`."""
    try:
        program = installed("redis-server")
    except MissingExecutable:
        if os.environ.get("CI"):
            raise
        yield {}
        return
    with TemporaryDirectory() as directory:
        server = RedisServer(program, Path(directory))
        server.start()
        try:
            yield {"REDIS_URL": server.url}
        finally:
            server.stop()


def main(names: Sequence[str]) -> int:
    """Return the exit code: 1 if an application does not keep its pins or its tests."""
    failed = False
    with redis_settings() as settings:
        for application in APPLICATIONS:
            if names and application.name not in names:
                continue
            if application.extra == "redis" and not settings:
                sys.stdout.write(f"{application.name}: skipped, install redis-server\n")
                continue
            for failure in failures(application, **settings):
                failed = True
                sys.stdout.write(f"{application.name}: {failure}\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
