"""Links between boards: they carry the time and every variable along."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DynamicConfigValue

START: Final = "flightdeck-start"


def board_link(uid: str, title: str) -> DashboardLink:
    """Return a link to another board."""
    return (
        DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .url(f"/d/{uid}")
        .icon("dashboard")
        .keep_time(True)
        .include_vars(True)
    )


def start_link() -> DashboardLink:
    """Return the link to the board that everybody begins with."""
    return board_link(START, "Start here")


def cell_link(uid: str, title: str, variable: str) -> DynamicConfigValue:
    """Return the property that leads from a cell to a board on which the variable has the cell's value."""
    url = f"/d/{uid}?${{__url_time_range}}&var-{variable}=${{__value.raw:percentencode}}"
    return DynamicConfigValue("links", [{"title": title, "url": url}])


def board_menu(tag: str) -> DashboardLink:
    """Return the menu of all boards with this tag."""
    return (
        DashboardLink("Boards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([tag])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
    )
