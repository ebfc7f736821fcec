"""Panels whose lines have no colour of their own: routes, processes, rule groups."""

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import FieldColor
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import FieldColorModeId


def told_apart(panel: Panel) -> Panel:
    """Return the panel with colours in turn, so that no two of its lines share one."""
    return panel.color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))


def named_beside(panel: Panel) -> Panel:
    """Return the same with names and last values beside the lines, the largest first: for up to twelve long names."""
    return told_apart(panel).legend(
        VizLegendOptions()
        .display_mode(LegendDisplayMode.TABLE)
        .placement(LegendPlacement.RIGHT)
        .show_legend(True)
        .calcs(["lastNotNull"])
        .sort_by("Last *")
        .sort_desc(True)
    )
