"""What the generator writes for one service: its job in every query, its names, none of the label `arm` without arms.

The sources are written for a service whose arms run side by side under the label `arm`. A service without arms has no
such label: there, the job takes its place.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from prometheus.expression import rewritten
from prometheus.parts import SHARED, part_of
from prometheus.slo import Objectives

ARM: Final = "arm"
ALERTS: Final = "ALERTS"
OF_OBJECTIVES: Final = frozenset({"slo:objective:ratio", "slo:threshold_seconds:vector"})
"""Recorded from `slo.toml`, without the label `job`."""

_CHOSEN_JOB: Final = re.compile(r"job=~?\"\$job\"(?:, )?")
_ARM_OR_JOB: Final = (
    "label_replace(label_join(",
    ', "arm_or_job", ";", "arm", "job"), "arm", "$1", "arm_or_job", ";(.+)")',
)
_ALERT_NAME: Final = re.compile(r'\balertname="(\w+)"')
_BOARD: Final = re.compile(r"\bflightdeck-(?=[a-z])")


@dataclass(frozen=True)
class Scope:
    objectives: Objectives

    @property
    def is_everything(self) -> bool:
        """Whether the texts are used as they are."""
        return self.objectives.arms

    def expression(self, expression: str) -> str:
        if self.is_everything:
            return expression
        for wrapping in _ARM_OR_JOB:
            expression = expression.replace(wrapping, "")
        workers = self.objectives.job_matcher(*self.objectives.worker_jobs)
        expression = _CHOSEN_JOB.sub("", expression).replace('job="worker"', workers)
        expression = _ALERT_NAME.sub(rf'alertname="{self.objectives.alert_prefix}\1"', expression)
        return rewritten(expression, name=self.series, matchers=self._matchers, drop=ARM)

    def series(self, name: str) -> str:
        """Return the name of a recorded series, whose level is the job instead of the arm."""
        return name if self.is_everything else re.sub(r"^arm:", "job:", name)

    def text(self, text: str) -> str:
        """Return a text with its references to labels and boards."""
        if not self.is_everything:
            text = re.sub(r"var-arm=\{\{ \$labels\.arm \}\}&?", "", text).removesuffix("?")
            text = text.replace(", arm=%q", "").replace("$labels.job $labels.arm", "$labels.job")
            text = re.sub(r"\{\{ ?(\$labels\.)?arm ?\}\}", lambda found: found[0].replace(ARM, "job"), text)
        return _BOARD.sub(f"{self.objectives.board_prefix}-", text)

    @property
    def own_alerts(self) -> str:
        """PromQL matcher of this service's alerts among those of every rule file."""
        objectives = self.objectives
        if objectives.alert_prefix:
            return f'alertname=~"{objectives.alert_prefix}.+"'
        return objectives.job_matcher(*objectives.jobs, "")  # absent() has no job

    def _matchers(self, name: str) -> Iterable[str]:
        objectives, part = self.objectives, part_of(name)
        if part in SHARED:
            return ()
        if name == ALERTS:
            return (self.own_alerts,)
        if name in OF_OBJECTIVES:
            groups = "|".join(objectives.groups)
            return (f'slo=~"{objectives.name}-({groups})-(availability|latency)"',) if objectives.name else ()
        with_workers = part == "tasks" or (name == "up" and "tasks" in objectives.parts)
        return (objectives.job_matcher(*objectives.jobs, *(objectives.worker_jobs if with_workers else ())),)
