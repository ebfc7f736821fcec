"""A workload as a TOML file; docs/compare.md has every key."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from lab.core.errors import BadTarget
from lab.workload.secrets import redacted
from lab.workload.workload import Workload


def read_toml(path: Path) -> Workload:
    """Read the file; paths in it are relative to it. Raise `BadTarget` that names the first wrong key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadTarget(f"{path}: {error.strerror}") from error
    except ValueError as error:  # also what is not UTF-8
        raise BadTarget(f"{path} is not TOML: {error}") from error
    try:
        workload = Workload.model_validate(data, context={"folder": path.parent.resolve()})
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        said = redacted(problem["msg"].removeprefix("Value error, "))
        raise BadTarget(f"{path}{f': {place}' if place else ''}: {said}") from None  # its text has the input
    names = [each.kind for each in workload.requests]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise BadTarget(f"{path}: two requests are named {redacted(repeated)}; give each its own name")
    return workload
