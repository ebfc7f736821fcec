"""Fixed colours of series, by the first word of their legend."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Protocol, Self, TypeVar

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, ValueMap, ValueMappingResult
from grafana_foundation_sdk.models.dashboard import Panel as Model

from grafana import colours

COLOURS: Final[Mapping[str, Mapping[str, str]]] = {
    "arm": colours.ARMS,
    "experiment": colours.ARMS,
    "result": colours.RESULTS,
    "level": colours.LEVELS,
    "cache": colours.CACHES,
    "encoding": colours.ENCODINGS,
    "class": colours.STATUSES,
    "operation": colours.OPERATIONS,
}
"""Colours by label."""
LABEL: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Overridable(Protocol):
    def build(self) -> Model: ...

    def override_by_regexp(self, regexp: str, properties: list[DynamicConfigValue]) -> Self: ...


Panel = TypeVar("Panel", bound=Overridable)


def coloured(panel: Panel) -> Panel:
    """Return the panel with fixed colours for the series that have one."""
    legends = [str(getattr(target, "legend_format", "") or "") for target in panel.build().targets or []]
    for name, colour in colours_for(legends).items():
        panel.override_by_regexp(pattern(name), [fixed_colour(colour)])
    return panel


def colours_for(legends: Iterable[str]) -> dict[str, str]:
    """Return the colours by series name, of the names with which these legends can begin."""
    found: dict[str, str] = {}
    for legend in legends:
        first = legend.split(" ", maxsplit=1)[0]
        if label := LABEL.fullmatch(first):
            found |= COLOURS.get(label[1], {})
        else:
            found.update((first, names[first]) for names in COLOURS.values() if first in names)
    return found


def pattern(name: str) -> str:
    return f"/^{re.escape(name)}( .*)?$/"


def fixed_colour(colour: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def value_mapping(names: Mapping[str, str]) -> ValueMap:
    return ValueMap(
        {name: ValueMappingResult(color=colour, index=at) for at, (name, colour) in enumerate(names.items())}
    )
