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
from grafana.panels.targets import with_ref_ids
from grafana.source import SOURCE


def time_series(title: str, description: str, *queries: Dataquery, unit: str) -> Panel:
    """Return lines from zero."""
    return _lines(title, description, queries, unit).min(0)


def logarithmic(title: str, description: str, *queries: Dataquery, unit: str) -> Panel:
    """Return lines on a logarithmic axis, where the same distance is the same factor: for effects of ten and more."""
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
        .legend(legend())
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )


def stacked(panel: Panel) -> Panel:
    """Return the panel with its series as layers of one sum."""
    return panel.stacking(StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(55).line_width(1)


def with_threshold_line(panel: Panel, limits: ThresholdsConfig) -> Panel:
    """Return the panel with its limits drawn as dashed lines."""
    return panel.thresholds(limits).thresholds_style(GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))


def legend(*values: str) -> VizLegendOptions:
    """Return a legend below the lines with these values of each."""
    return (
        VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(list(values))
    )
