"""Fixed colours of series, by the first word of their legend."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, ValueMap, ValueMappingResult

from grafana import colours

MEANINGS: Final[tuple[Mapping[str, str], ...]] = (
    colours.ARMS,
    colours.RESULTS,
    colours.LEVELS,
    colours.ENCODINGS,
    colours.STATUSES,
)


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
