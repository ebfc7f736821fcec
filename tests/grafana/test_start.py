from grafana.boards.headlines import HEADLINES
from grafana.boards.start import GUIDE
from grafana.links import START
from service.techniques import ARMS
from tests.grafana.panel import Place, boards, panels

SCREEN_ROWS = 20
"""Rows of the grid, 38 pixels each, that a screen of 1600 by 900 shows below Grafana's own bars."""
OF_START = [place for place in panels() if place.board == START]


def of_title(title: str) -> Place:
    return next(place for place in OF_START if place.panel["title"] == title)


def test_the_effects_are_on_the_first_screen() -> None:
    first_row = min(panel["gridPos"]["y"] for panel in boards()[START]["panels"] if panel["type"] == "row")
    assert first_row <= SCREEN_ROWS
    for title in (
        "Caching",
        "Connection pooling",
        "Compression",
        "Cost of a request, by arm",
        "Alerts",
        "All dashboards",
    ):
        assert of_title(title).panel["gridPos"]["y"] < first_row


def test_a_headline_is_about_one_arm_and_has_its_colour() -> None:
    for headline in HEADLINES:
        assert headline.arm in ARMS
        panel = of_title(headline.title).panel
        (threshold,) = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert f'arm="{headline.arm}"' in panel["targets"][0]["expr"]
        assert threshold["color"] in str(of_title("Cost of a request, by arm").panel)


def test_the_guide_leads_to_every_other_board_under_its_own_name() -> None:
    titles = {f"flightdeck-{name}": title for name, (title, _) in GUIDE.items()}
    assert titles == {uid: board["title"] for uid, board in boards().items() if uid != START}


def test_every_arm_is_listed_with_its_techniques() -> None:
    text = of_title("Arms and their techniques").panel["options"]["content"]
    assert all(f"**{arm}**" in text for arm in ARMS)
