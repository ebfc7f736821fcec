"""Big numbers, one for each series."""

from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizTextDisplayOptions
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueJustifyMode,
    BigValueTextMode,
    VizOrientation,
)

from grafana.panels.targets import with_ref_ids
from grafana.source import SOURCE
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


def headline(title: str, description: str, number: Dataquery, *, unit: str, colour: str) -> Panel:
    """Return one number as large as fits, in the colour of what it is about."""
    return (
        stat(title, description, number, unit=unit)
        .thresholds(neutral(colour))
        .text(VizTextDisplayOptions().value_size(56))
        .justify_mode(BigValueJustifyMode.CENTER)
    )
