import re

import pytest

from prometheus.generated import ROOT
from tests.grafana.committed import committed

PAGE = ROOT / "docs/dashboards.md"
TEXT = PAGE.read_text("utf-8")
ROWS = dict(re.findall(r"^\| \[(.+?)\]\(.+?\) \| (.+?) \|", TEXT, re.MULTILINE))


@pytest.mark.parametrize("board", committed().values(), ids=lambda board: board["uid"])
def test_the_page_names_every_board_with_its_question(board: dict[str, str]) -> None:
    assert ROWS[board["title"]] == board["description"]


def test_the_page_names_no_board_that_does_not_exist() -> None:
    assert ROWS.keys() == {board["title"] for board in committed().values()}
