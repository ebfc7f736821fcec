"""A fresh virtual environment, with the versions that a test chooses."""

import subprocess
import sys
from pathlib import Path


class Environment:
    """Made by uv in this directory."""

    def __init__(self, directory: Path, *, interpreter: str = sys.executable) -> None:
        self.python = directory / "bin" / "python"
        self._uv("venv", "--clear", "--python", interpreter, directory)

    def install(self, *arguments: str | Path) -> None:
        """Install packages; the arguments are those of `uv pip install`."""
        self._uv("pip", "install", "--python", self.python, *arguments)

    def versions(self) -> set[str]:
        """Return `name==version` of every package."""
        return set(self._uv("pip", "freeze", "--python", self.python).splitlines())

    @staticmethod
    def _uv(*arguments: str | Path) -> str:
        command = [sys.executable, "-m", "uv", "--quiet", *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
