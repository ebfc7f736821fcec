"""The page on comparing services: its file is a workload, and it names every option and key."""

import re
from itertools import islice
from pathlib import Path
from typing import Final

from typer.main import get_command

from flightdeck.cli import app
from lab.workload.draw import PreparedWorkload
from lab.workload.toml_file import read_toml
from lab.workload.workload import Login, RequestTemplate, Workload

PAGE: Final = (Path(__file__).parents[2] / "docs" / "compare.md").read_text("utf-8")
EXAMPLE: Final = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_is_a_workload_that_can_be_sent(tmp_path: Path) -> None:
    assert EXAMPLE is not None
    (tmp_path / "requests.toml").write_text(EXAMPLE[1], "utf-8")
    (tmp_path / "users.csv").write_text("user,password\nann,1\nbob,2\n", "utf-8")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "items.csv").write_text("item\n1\n", "utf-8")
    workload = read_toml(tmp_path / "requests.toml")
    assert workload.kinds == ["search", "order", "filter", "photo", "import", "graph"]
    prepared = PreparedWorkload(workload, {"SHOP_PASSWORD": "open sesame"})
    for request in islice(prepared.requests(1, seed=1), 50):
        values = {**request.values, "token": "t"}
        assert request.compiled.path.filled(values).startswith("/")
        assert bool(request.compiled.body.filled(values)) == (request.kind != "search")
        assert ("authorization", "Bearer t") in [(k, text.filled(values)) for k, text in request.compiled.headers]


def test_every_option_of_the_command_is_on_the_page() -> None:
    command = get_command(app).commands["lab"].commands["compare"]  # type: ignore[attr-defined]  # groups
    options = {parameter.opts[0] for parameter in command.params if parameter.opts[0].startswith("--")}
    assert {option for option in options if not re.search(rf"{option}\b", PAGE)} == set()


def test_every_key_of_the_file_is_on_the_page() -> None:
    keys = {
        field.alias or name
        for model in (Workload, RequestTemplate, Login)
        for name, field in model.model_fields.items()
    }
    assert {key for key in keys if not re.search(rf"\b{key}\b", PAGE)} == set()
