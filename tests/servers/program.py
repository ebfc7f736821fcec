"""The installed programs that tests start: without one, its tests are skipped with what to install; in CI they fail."""

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from shutil import which
from typing import Final, NoReturn

import pytest

from lab.drills.environments.postgres import DIRECTORIES as POSTGRES_DIRECTORIES
from lab.drills.run.errors import MissingExecutable
from lab.drills.run.executable import executable_path

PACKAGES: Final[Mapping[str, Sequence[str]]] = {
    "bash": ("bash",),
    "curl": ("curl",),
    "docker.io": ("docker",),
    "git": ("git",),
    "golang-go": ("go",),
    "openssl": ("openssl",),
    "postgresql": ("initdb", "pg_basebackup", "pg_isready", "postgres", "psql"),
    "prometheus": ("prometheus", "promtool"),
    "prometheus-alertmanager": ("amtool", "prometheus-alertmanager"),
    "rabbitmq-server": ("epmd", "rabbitmq-server", "rabbitmqctl"),
    "redis-server": ("redis-server",),
    "varnish": ("varnishd",),
    "varnish-modules": ("libvmod_xkey.so",),
}
"""Each Debian package with the programs and modules that are used of it."""

DIRECTORIES: Final[Mapping[str, Sequence[str]]] = {
    "postgresql": POSTGRES_DIRECTORIES,
    "rabbitmq-server": ("/usr/lib/rabbitmq/bin",),  # Debian's wrappers change the user and hide the process
    "varnish-modules": ("/usr/lib/*/varnish/vmods", "/usr/lib/varnish/vmods"),
}


def installed(name: str, *, directories: Sequence[str] = ()) -> str:
    """Return the path of a program or module of `PACKAGES`; raise `MissingExecutable` with its package."""
    package = next(package for package, programs in PACKAGES.items() if name in programs)
    mode = os.R_OK if name.endswith(".so") else os.X_OK
    searched = (*directories, *DIRECTORIES.get(package, ()))
    return executable_path(name, package=package, directories=searched, mode=mode)


def missing(message: str) -> NoReturn:
    """Skip the test that needs what is not installed; fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without",
        action="append",
        default=[],
        choices=PACKAGES,
        help="test as on a machine without this Debian package; can be repeated",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect as on a machine without any of them, so that no module looks for one when it is imported."""
    with _hiding(PACKAGES):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hide the packages in `--without`."""
    with _hiding(item.config.getoption("without")):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    return (yield from _skipping())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    return (yield from _skipping())


@contextmanager
def _hiding(packages: Iterable[str]) -> Iterator[None]:
    hidden = {name for package in packages for name in PACKAGES[package]}

    def visible(name: str, *, mode: int, path: str) -> str | None:
        return None if name in hidden else which(name, mode=mode, path=path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.drills.run.executable.which", visible)
        yield


def _skipping() -> Generator[None, None, None]:
    try:
        yield
    except MissingExecutable as error:
        missing(str(error))
    except BaseExceptionGroup as group:
        errors, others = group.split(MissingExecutable)
        if errors is None or others is not None:
            raise
        missing(str(next(_leaves(errors))))


def _leaves(group: BaseExceptionGroup[MissingExecutable]) -> Iterator[MissingExecutable]:
    for error in group.exceptions:
        yield from _leaves(error) if isinstance(error, BaseExceptionGroup) else (error,)
