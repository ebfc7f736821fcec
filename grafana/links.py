"""Links between boards, which keep the time range and every variable."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DynamicConfigValue

START: Final = "flightdeck-start"


def board_link(uid: str, title: str) -> DashboardLink:
    return (
        DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .url(f"/d/{uid}")
        .icon("dashboard")
        .keep_time(True)
        .include_vars(True)
    )


def cell_link(uid: str, title: str, variable: str) -> DynamicConfigValue:
    """Return the property that links a cell to a board, with the variable set to the value of the cell."""
    url = f"/d/{uid}?${{__url_time_range}}&var-{variable}=${{__value.raw:percentencode}}"
    return DynamicConfigValue("links", [{"title": title, "url": url}])


def board_menu(tag: str) -> DashboardLink:
    return (
        DashboardLink("Boards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([tag])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
    )
