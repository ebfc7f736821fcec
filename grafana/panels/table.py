"""Tables: one row for each value of a label, one column for each query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.table import Panel
from grafana_foundation_sdk.models.common import TableCellHeight
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMap,
    ValueMappingResult,
)

from grafana import colours
from grafana.panels.colour import value_mapping
from grafana.query import SOURCE, with_ref_ids
from grafana.thresholds import neutral

WIDTHS: Final = {"handler": 200, "experiment": 150, "metric": 235}
"""In pixels, of wide keys."""
CHARACTER: Final = 9
"""Pixels that a character of a word takes, generously."""


@dataclass(frozen=True, kw_only=True)
class Column:
    title: str
    query: Dataquery
    unit: str
    decimals: int | None = None
    thresholds: ThresholdsConfig | None = None
    """They colour the text of the cell."""
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Instead of numbers: a word and its colour for each value."""
    bar: bool = False
    """Whether the cell shows the number as a bar."""


def table(title: str, description: str, *columns: Column, key: Mapping[str, str]) -> Panel:
    """Return a table; `key` maps the labels of a row to their headings, in order.

    Each query must return one series for each combination of those labels, without other labels: `sum by (…)`.
    """
    panel = (
        Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .targets(with_ref_ids([one.query for one in columns]))
        .unit("short")
        .thresholds(neutral())
        .height(8)
        .span(24)
        .show_header(True)
        .min_width(80)
        .cell_height(TableCellHeight.MD)
        .no_value("-")
        .transformations(_joined(columns, key))
    )
    # Bars of one unit share a scale and can be compared between columns. A single one has its own, because the shared
    # scale is that of every number in the table.
    barred = [column.unit for column in columns if column.bar]
    is_alike = len(barred) > 1 and len(set(barred)) == 1
    for column in columns:
        panel.override_by_name(column.title, _properties(column, is_alike=is_alike))
    for label, heading in key.items():
        panel.override_by_name(heading, _key_properties(label))
    return panel


def _joined(columns: Sequence[Column], key: Mapping[str, str]) -> list[DataTransformerConfig]:
    """Return the transformations that join the results of all queries by their labels."""
    values = [
        f"Value #{letter}" if len(columns) > 1 else "Value" for letter, _ in zip(ascii_uppercase, columns, strict=False)
    ]
    names = dict(zip(values, (one.title for one in columns), strict=True)) | dict(key)
    order = {name: at for at, name in enumerate([*key, *values])}
    organized = DataTransformerConfig(
        id_val="organize",
        options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names},
    )
    return [DataTransformerConfig(id_val="merge", options={}), organized]


def _properties(column: Column, *, is_alike: bool) -> list[DynamicConfigValue]:
    properties = [DynamicConfigValue("unit", column.unit), DynamicConfigValue("noValue", "-")]
    if column.decimals is not None:
        properties.append(DynamicConfigValue("decimals", column.decimals))
    if column.thresholds is not None:
        properties.append(DynamicConfigValue("thresholds", column.thresholds.build()))
    if column.bar:
        properties.append(DynamicConfigValue("custom.cellOptions", {"type": "gauge", "mode": "basic"}))
        properties += [DynamicConfigValue("min", 0), DynamicConfigValue("fieldMinMax", not is_alike)]
    elif column.words:
        words = {
            value: ValueMappingResult(text=word, color=colour, index=at)
            for at, (value, (word, colour)) in enumerate(column.words.items())
        }
        properties.append(DynamicConfigValue("mappings", [ValueMap(words)]))
        properties.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
        longest = max(len(word) for word, _ in column.words.values())
        properties.append(DynamicConfigValue("custom.width", max(CHARACTER * longest, 80)))
    elif column.thresholds is not None:
        properties.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    return properties


def _key_properties(label: str) -> list[DynamicConfigValue]:
    words = colours.ARMS | colours.LEVELS | colours.ENCODINGS | colours.RESULTS
    width = [DynamicConfigValue("custom.width", WIDTHS[label])] if label in WIDTHS else []
    return [
        *width,
        DynamicConfigValue("unit", "string"),
        DynamicConfigValue("mappings", [value_mapping(words)]),
        DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
    ]
