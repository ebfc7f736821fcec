"""Every `flightdeck` command and option that a page shows exists."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
from typer.main import get_command

from flightdeck.cli import app
from tests.docs.test_links import PAGES, ROOT

SHOWN: Final = r"(?:^|`|\$ |\.venv/bin/)flightdeck ([a-z][^`\n#|]*)"
COMMANDS: Final = [
    (page, command.strip())
    for page in PAGES
    for command in re.findall(SHOWN, page.read_text("utf-8").replace("\\\n", " "), re.MULTILINE)
]


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=lambda value: str(value.relative_to(ROOT)) if isinstance(value, Path) else value
)
def test_a_command_and_its_options_exist(page: Path, command: str) -> None:
    words = command.split()
    current: Any = get_command(app)
    while hasattr(current, "commands") and words:
        assert words[0] in current.commands, page
        current = current.commands[words.pop(0)]
    options = {name for parameter in current.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options | {"--help"}
