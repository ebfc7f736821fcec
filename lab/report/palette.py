"""The colours of charts, as CSS variables.

Arms have the same colours as on the dashboards; all other arms, such as those of a single technique, share one colour.
"""

from typing import Final

from service.techniques import ARM_COLOURS

SERIES: Final = 6
"""Number of colours for lines that are not arms, ordered from low to high values."""
ROLES: Final = (
    *("ink", "faint", "rule", "good", "bad", "other"),
    *(f"arm-{arm}" for arm in ARM_COLOURS),
    *(f"series-{number}" for number in range(SERIES)),
)
VARIABLES: Final = {f"#0101{number:02x}": f"--{role}" for number, role in enumerate(ROLES)}
"""CSS variables by the placeholder colour that a figure is drawn with."""


def placeholder(role: str) -> str:
    return f"#0101{ROLES.index(role):02x}"


INK, FAINT, RULE, GOOD, BAD = (placeholder(role) for role in ("ink", "faint", "rule", "good", "bad"))


def series(position: int) -> str:
    return f"--series-{position % SERIES}"


def arm_variable(arm: str, *, is_reference: bool = False) -> str:
    """Return the variable of an arm; a reference that is not on the dashboards has the colour of the baseline."""
    if arm in ARM_COLOURS:
        return f"--arm-{arm}"
    return "--arm-baseline" if is_reference else "--other"


def drawn(variable: str) -> str:
    return placeholder(variable.removeprefix("--"))
