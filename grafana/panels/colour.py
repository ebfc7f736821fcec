"""Fixed colours of series, by the first word of their legend."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, Protocol, Self, TypeVar

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, ValueMap, ValueMappingResult

from grafana import colours

MEANINGS: Final[tuple[Mapping[str, str], ...]] = (
    colours.ARMS,
    colours.RESULTS,
    colours.LEVELS,
    colours.CACHES,
    colours.ENCODINGS,
    colours.STATUSES,
    colours.OPERATIONS,
)


class Overridable(Protocol):
    """A panel whose series can be told to look different."""

    def override_by_regexp(self, regexp: str, properties: list[DynamicConfigValue]) -> Self:
        """Give the series with such a name these properties."""


Panel = TypeVar("Panel", bound=Overridable)


def coloured(panel: Panel) -> Panel:
    """Return the panel with the series that have a meaning in the colour of that meaning."""
    for pattern, properties in by_legend():
        panel.override_by_regexp(pattern, properties)
    return panel


def fixed(colour: str) -> DynamicConfigValue:
    """Return the property that gives a series this colour."""
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def by_legend() -> Iterator[tuple[str, list[DynamicConfigValue]]]:
    """Yield for each name with a meaning the pattern of the legends that begin with it, and its colour."""
    for names in MEANINGS:
        for name, colour in names.items():
            yield f"/^{re.escape(name)}( .*)?$/", [fixed(colour)]


def as_mapping(names: Mapping[str, str]) -> ValueMap:
    """Return the value mapping that colours these words in the cells of a table."""
    return ValueMap(
        {name: ValueMappingResult(color=colour, index=at) for at, (name, colour) in enumerate(names.items())}
    )
