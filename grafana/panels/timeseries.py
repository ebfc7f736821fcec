"""Lines over time."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ScaleDistributionConfig,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.models.common import (
    GraphGradientMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    ScaleDistribution,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import FieldColorModeId

from grafana.panels.colour import coloured
from grafana.query import SOURCE, with_ref_ids


def time_series(title: str, description: str, *queries: Dataquery, unit: str) -> Panel:
    """Return a panel of lines whose axis begins at zero."""
    return _lines(title, description, queries, unit).min(0)


def logarithmic(title: str, description: str, *queries: Dataquery, unit: str) -> Panel:
    """Return a panel of lines on a logarithmic axis, where equal distances are equal factors."""
    scale = ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10)
    return _lines(title, description, queries, unit).scale_distribution(scale)


def _lines(title: str, description: str, queries: Sequence[Dataquery], unit: str) -> Panel:
    return coloured(
        Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .targets(with_ref_ids(queries))
        .unit(unit)
        .height(8)
        .span(12)
        .line_width(2)
        .line_interpolation(LineInterpolation.LINEAR)
        .fill_opacity(0)
        .gradient_mode(GraphGradientMode.NONE)
        .show_points(VisibilityMode.NEVER)
        .span_nulls(False)
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs([])
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )


def stacked(panel: Panel) -> Panel:
    """Return the panel with its series stacked."""
    return panel.stacking(StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(55).line_width(1)


def with_threshold_line(panel: Panel, thresholds: ThresholdsConfig) -> Panel:
    """Return the panel with its thresholds drawn as dashed lines."""
    return panel.thresholds(thresholds).thresholds_style(
        GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    )


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
