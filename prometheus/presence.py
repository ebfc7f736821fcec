"""Which expressions can have data for a service, by the parts that it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus.burn_rate import budget_rules
from prometheus.effects import effect_rules
from prometheus.expression import has_data
from prometheus.parts import part_of
from prometheus.rule import Alert, Group, Recording
from prometheus.slo import Objectives

OF_AN_ARM: Final = 'arm="'
"""In an expression that compares with one arm by its name."""


@dataclass(frozen=True)
class Presence:
    objectives: Objectives
    recorded: Mapping[str, Sequence[str]]
    """The expressions of every recorded series, by its name."""

    def has_data(self, expression: str) -> bool:
        """Return whether the expression can have data in this service."""
        if OF_AN_ARM in expression and not self.objectives.arms:
            return False
        return has_data(expression, self._is_present)

    def _is_present(self, name: str, job: str) -> bool:
        if name in self.recorded:
            return any(self.has_data(one) for one in self.recorded[name])
        part = part_of(name, job)
        return part is None or part in self.objectives.parts

    def kept(self, groups: Sequence[Group]) -> list[Group]:
        """Return the groups with the rules that can have data; a group without rules is left out."""
        return [
            Group(name=group.name, rules=rules, interval=group.interval)
            for group in groups
            if (rules := [rule for rule in group.rules if self._keeps(rule)])
        ]

    def _keeps(self, rule: Recording | Alert) -> bool:
        return self.has_data(rule.expr)


def presence(objectives: Objectives) -> Presence:
    recorded: dict[str, list[str]] = {}
    for group in (budget_rules(objectives), effect_rules()):
        for rule in group.rules:
            if isinstance(rule, Recording):
                recorded.setdefault(rule.record, []).append(rule.expr)
    return Presence(objectives, recorded)
