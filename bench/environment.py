"""Environments of packages to compare with, so that their dependencies do not enter ours; made when they are needed."""

import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path(".flightdeck/bench")
SHARED: Final = ("fastapi", "httptools", "pydantic", "starlette", "uvicorn", "uvloop")
"""Packages that have the same version in every environment."""


def python_with(requirements: Sequence[str]) -> str:
    """Return an interpreter with these requirements; ours without any. The first call for them installs them."""
    if not requirements:
        return sys.executable
    wanted = [*(f"{name}=={version(name)}" for name in SHARED), *requirements]
    directory = DIRECTORY / sha256(" ".join(wanted).encode()).hexdigest()[:16]
    python, is_complete = directory / "bin" / "python", directory / ".complete"
    if not is_complete.exists():
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, directory], check=True)  # noqa: S603 fixed
        subprocess.run([*uv, "pip", "install", "--python", python, *wanted], check=True)  # noqa: S603 the same
        is_complete.touch()
    return str(python.absolute())
