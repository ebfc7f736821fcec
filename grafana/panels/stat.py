"""Large numbers, one for each series."""

from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueJustifyMode,
    BigValueTextMode,
    VizOrientation,
)

from grafana import units
from grafana.query import SOURCE, with_ref_ids
from grafana.thresholds import neutral


def stat(title: str, description: str, *queries: Dataquery, unit: str) -> Panel:
    """Return the last value of each series as a number; give it `thresholds` where the value can be good or bad."""
    return (
        Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .targets(with_ref_ids(queries))
        .unit(unit)
        .thresholds(neutral())
        .height(4)
        .span(6)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
        .text_mode(BigValueTextMode.AUTO)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .justify_mode(BigValueJustifyMode.AUTO)
        .orientation(VizOrientation.AUTO)
        .no_value("none")
    )


def headline(title: str, description: str, sentence: Dataquery, *, colour: str) -> Panel:
    """Return the legend of a query as a sentence, in the colour of its arm."""
    return (
        stat(title, description, sentence, unit=units.COUNT)
        .thresholds(neutral(colour))
        .text_mode(BigValueTextMode.NAME)
        .justify_mode(BigValueJustifyMode.CENTER)
    )
