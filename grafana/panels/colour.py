"""Fixed colours of series, by the first word of their legend."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Protocol, Self, TypeVar

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, ValueMap, ValueMappingResult
from grafana_foundation_sdk.models.dashboard import Panel as Model

from grafana import colours

MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "arm": colours.ARMS,
    "experiment": colours.ARMS,
    "result": colours.RESULTS,
    "level": colours.LEVELS,
    "cache": colours.CACHES,
    "encoding": colours.ENCODINGS,
    "class": colours.STATUSES,
    "operation": colours.OPERATIONS,
}
"""By the label whose values they are."""
LABEL: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Overridable(Protocol):
    """A panel whose series can be told to look different."""

    def build(self) -> Model:
        """Return what it is so far."""

    def override_by_regexp(self, regexp: str, properties: list[DynamicConfigValue]) -> Self:
        """Give the series with such a name these properties."""


Panel = TypeVar("Panel", bound=Overridable)


def coloured(panel: Panel) -> Panel:
    """Return the panel with the series that have a meaning in the colour of that meaning."""
    legends = [str(getattr(target, "legend_format", "") or "") for target in panel.build().targets or []]
    for name, colour in colours_for(legends).items():
        panel.override_by_regexp(pattern(name), [fixed_colour(colour)])
    return panel


def colours_for(legends: Iterable[str]) -> dict[str, str]:
    """Return the names that these legends can begin with, of those that have a colour, and their colours."""
    found: dict[str, str] = {}
    for legend in legends:
        first = legend.split(" ", maxsplit=1)[0]
        if label := LABEL.fullmatch(first):
            found |= MEANINGS.get(label[1], {})
        else:
            found.update((first, names[first]) for names in MEANINGS.values() if first in names)
    return found


def pattern(name: str) -> str:
    """Return the pattern of the legends that begin with the name."""
    return f"/^{re.escape(name)}( .*)?$/"


def fixed_colour(colour: str) -> DynamicConfigValue:
    """Return the property that gives a series this colour."""
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def value_mapping(names: Mapping[str, str]) -> ValueMap:
    """Return the value mapping that colours these words in the cells of a table."""
    return ValueMap(
        {name: ValueMappingResult(color=colour, index=at) for at, (name, colour) in enumerate(names.items())}
    )
