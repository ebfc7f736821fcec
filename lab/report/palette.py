"""The colours of charts, as variables of the page's style sheet: light, dark and print need no second drawing.

Arms have the colours that they have on dashboards; another arm, such as one of a single technique, has one of its own.
"""

from typing import Final

from service.techniques import ARM_COLOURS

SERIES: Final = 6
"""Colours of lines that are no arms, in an order that reads as from little to much."""
ROLES: Final = (
    *("ink", "faint", "rule", "good", "bad", "other"),
    *(f"arm-{arm}" for arm in ARM_COLOURS),
    *(f"series-{number}" for number in range(SERIES)),
)
VARIABLES: Final = {f"#0101{number:02x}": f"--{role}" for number, role in enumerate(ROLES)}
"""What a drawing is coloured with stands for a variable of the page."""


def placeholder(role: str) -> str:
    """Return the colour that stands for a role in a drawing."""
    return f"#0101{ROLES.index(role):02x}"


INK, FAINT, RULE, GOOD, BAD = (placeholder(role) for role in ("ink", "faint", "rule", "good", "bad"))


def series(position: int) -> str:
    """Return the variable of a line that is no arm."""
    return f"--series-{position % SERIES}"


def arm_variable(arm: str, *, is_reference: bool = False) -> str:
    """Return the variable of an arm's colour; a reference that no dashboard shows is grey, like the baseline."""
    if arm in ARM_COLOURS:
        return f"--arm-{arm}"
    return "--arm-baseline" if is_reference else "--other"


def drawn(variable: str) -> str:
    """Return the placeholder of a variable."""
    return placeholder(variable.removeprefix("--"))
