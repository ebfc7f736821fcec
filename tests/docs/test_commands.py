"""Every `flightdeck` command and option that a page shows exists."""

import re
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from flightdeck.cli import app
from tests.docs.test_links import PAGES
from tests.each import each

SHOWN: Final = r"(?:^|`|\$ |\.venv/bin/)flightdeck ([a-z][^`\n#|]*)"
COMMANDS: Final = [
    (page, command.strip())
    for page in PAGES
    for command in re.findall(SHOWN, page.read_text("utf-8").replace("\\\n", " "), re.MULTILINE)
]


COMMAND: Final[Any] = get_command(app)


@each("shown", lambda: COMMANDS)
def test_a_command_and_its_options_exist(shown: tuple[Path, str]) -> None:
    page, command = shown
    words = command.split()
    current = COMMAND
    while hasattr(current, "commands") and words:
        assert words[0] in current.commands, page
        current = current.commands[words.pop(0)]
    options = {name for parameter in current.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options | {"--help"}
