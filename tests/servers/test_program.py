"""On a machine without some of the servers the tests are skipped with what to install; in CI they fail."""

import re
from pathlib import Path

import pytest

from lab.drills.run.errors import MissingExecutable
from tests.servers.program import PACKAGES, installed

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PROGRAMS = [(package, program) for package, programs in PACKAGES.items() for program in programs]
FAILING = {
    "in a test": "def test_it():\n    installed('redis-server')",
    "in a test of its own loop": "async def test_it(anyio_backend):\n    installed('redis-server')",
    "in a task group": """
async def test_it(anyio_backend):
    async def start():
        installed('redis-server')
    async with asyncio.TaskGroup() as group, asyncio.TaskGroup() as inner:
        inner.create_task(start())""",
    "in a fixture": """
@pytest.fixture
def server():
    return installed('redis-server')
def test_it(server):
    pass""",
    "in a fixture of the session": """
@pytest.fixture(scope="session")
def server():
    return installed('redis-server')
def test_it(server):
    pass""",
    "in the lab": "def test_it():\n    executable_path('redis-server', package='redis-server')",
}
IN_FIXTURES = 2
IMPORTS = """
import asyncio
import pytest
from lab.drills.run.executable import executable_path
from tests.servers.program import installed
"""


@pytest.fixture
def directory(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory with tests that use Redis in every way, outside of CI."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(**{f"test_{number}": IMPORTS + code for number, code in enumerate(FAILING.values())})
    return pytester


def run(directory: pytest.Pytester, *options: str) -> pytest.RunResult:
    return directory.runpytest_inprocess(
        "-p", "tests.servers.program", "-o", "anyio_mode=auto", "-o", "xfail_strict=true", "-ra", *options
    )


def test_a_missing_server_skips_the_test_wherever_it_is_missed(directory: pytest.Pytester) -> None:
    result = run(directory, "--without", "redis-server")
    result.assert_outcomes(skipped=len(FAILING))
    result.stdout.fnmatch_lines("SKIPPED*redis-server is not installed; on Debian: apt-get install redis-server")
    assert result.ret == 0


def test_in_ci_a_missing_server_fails_the_test(directory: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = run(directory, "--without", "redis-server")
    result.assert_outcomes(failed=len(FAILING) - IN_FIXTURES, errors=IN_FIXTURES)
    result.stdout.fnmatch_lines("*redis-server is not installed; on Debian: apt-get install redis-server")


def test_another_error_beside_the_missing_server_fails_the_test(pytester: pytest.Pytester) -> None:
    body = "def test_it():\n    raise ExceptionGroup('two', [MissingExecutable('a', 'a'), ValueError('other')])"
    pytester.makepyfile(f"from lab.drills.run.errors import MissingExecutable\n{body}")
    run(pytester).assert_outcomes(failed=1)


def test_a_module_that_looks_for_a_server_when_it_is_imported_is_an_error_on_every_machine(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(f"{IMPORTS}\nSERVER = installed('git')\ndef test_it(): pass")
    run(pytester).assert_outcomes(errors=1)


@pytest.mark.parametrize(("package", "program"), PROGRAMS, ids=[program for _, program in PROGRAMS])
def test_an_installed_program_is_found_and_belongs_to_its_package(package: str, program: str) -> None:
    try:
        assert Path(installed(program)).name == program
    except MissingExecutable as error:
        assert str(error).endswith(f"apt-get install {package}")  # noqa: PT017 both are right on some machine
        raise


def test_programs_are_looked_up_in_one_place_only() -> None:
    folders = [ROOT / "tests", *(path.parent for path in ROOT.glob("*/__init__.py"))]
    found = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in folder.rglob("*.py")
        if path != Path(__file__)
        and re.search(r"shutil\.which|from shutil import .*\bwhich\b", path.read_text("utf-8"))
    }
    assert found == {"lab/drills/run/executable.py", "tests/servers/program.py"}
