"""A histogram over time: the darker a cell, the more observations in that bucket."""

from grafana_foundation_sdk.builders.heatmap import HeatmapColorOptions, Panel, YAxisConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.common import AxisPlacement, TooltipDisplayMode
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale

from grafana.query import SOURCE, with_ref_ids


def heatmap(title: str, description: str, buckets: Dataquery, *, unit: str) -> Panel:
    """Return the heatmap of one histogram; its exemplars are dots that link to traces."""
    return (
        Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .targets(with_ref_ids([buckets]))
        .unit(unit)
        .height(9)
        .max_data_points(60)
        .span(12)
        .calculate(False)
        .cell_gap(1)
        .color(
            HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .scale(HeatmapColorScale.EXPONENTIAL)
            .exponent(0.4)
            .steps(64)
        )
        .y_axis(YAxisConfig().unit(unit).axis_placement(AxisPlacement.LEFT))
        .show_legend()
        .mode(TooltipDisplayMode.SINGLE)
        .exemplars_color("rgba(224, 86, 107, 0.9)")
    )
