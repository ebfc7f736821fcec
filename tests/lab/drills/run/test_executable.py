from pathlib import Path

import pytest

from lab.drills.run.errors import MissingExecutable
from lab.drills.run.executable import executable_path


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Three directories, each with a program."""
    for version in ("15", "16", "on-path"):
        program = tmp_path / version / "postgres"
        program.parent.mkdir()
        program.touch(0o755)
    return tmp_path


def test_a_missing_executable_names_the_package_to_install() -> None:
    with pytest.raises(
        MissingExecutable, match="no-such-server is not installed; on Debian: apt-get install something"
    ):
        executable_path("no-such-server", package="something")


def test_the_highest_version_in_the_directories_is_before_the_path(
    versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(versions / "on-path"))
    assert executable_path("postgres", package="postgresql", directories=[f"{versions}/1*"]) == str(
        versions / "16" / "postgres"
    )
    assert executable_path("postgres", package="postgresql") == str(versions / "on-path" / "postgres")


def test_a_system_directory_is_searched_after_the_path(versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.drills.run.executable.SYSTEM_DIRECTORIES", [str(versions / "15")])
    monkeypatch.setenv("PATH", str(versions / "elsewhere"))
    assert executable_path("postgres", package="postgresql") == str(versions / "15" / "postgres")


def test_a_file_that_is_not_executable_is_no_program(versions: Path) -> None:
    (versions / "15" / "module.so").touch(0o644)
    with pytest.raises(MissingExecutable):
        executable_path("module.so", package="modules", directories=[str(versions / "15")])
