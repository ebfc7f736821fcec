"""The page on canaries names every option, and its JSON is that of a judgement."""

import re
from pathlib import Path
from typing import Final

from typer.main import get_command

from flightdeck.cli import app
from lab.judge.judge import Judgement

PAGE: Final = (Path(__file__).parents[2] / "docs" / "canary.md").read_text("utf-8")


def test_every_option_of_the_command_is_on_the_page() -> None:
    command = get_command(app).commands["lab"].commands["judge"]  # type: ignore[attr-defined]  # groups
    options = {parameter.opts[0] for parameter in command.params if parameter.opts[0].startswith("--")}
    assert {option for option in options if not re.search(rf"{option}\b", PAGE)} == set()


def test_the_page_names_fields_that_a_judgement_has() -> None:
    shown = re.findall(r'"(\w+)":', PAGE)
    assert set(shown) <= set(Judgement.model_fields)
    assert "{$.verdict}" in PAGE
