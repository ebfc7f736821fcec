"""Panels whose lines have long names: routes, processes, rule groups."""

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement


def with_legend_table(panel: Panel) -> Panel:
    """Return the panel with names and last values beside the lines, the largest first: for up to twelve long names."""
    return panel.legend(
        VizLegendOptions()
        .display_mode(LegendDisplayMode.TABLE)
        .placement(LegendPlacement.RIGHT)
        .show_legend(True)
        .calcs(["lastNotNull"])
        .sort_by("Last *")
        .sort_desc(True)
    )
