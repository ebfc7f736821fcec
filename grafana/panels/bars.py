"""Horizontal bars, one for each series, at the end of the time range."""

from grafana_foundation_sdk.builders.bargauge import Panel
from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BarGaugeNamePlacement,
    BarGaugeValueMode,
    VizOrientation,
)

from grafana.panels.colour import coloured
from grafana.query import SOURCE, with_ref_ids
from grafana.thresholds import neutral


def bars(title: str, description: str, *queries: Dataquery, unit: str) -> Panel:
    return coloured(
        Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .targets(with_ref_ids(queries))
        .unit(unit)
        .min(0)
        .thresholds(neutral())
        .height(8)
        .span(8)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .value_mode(BarGaugeValueMode.COLOR)
        .name_placement(BarGaugeNamePlacement.LEFT)
        .show_unfilled(True)
        .max_viz_height(56)
        .no_value("none")
    )
