"""The differences between the results of two runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from lab.analysis.result import SCHEMA_VERSION, LabResult, MetricResult
from lab.core.errors import BadTarget


@dataclass(frozen=True, kw_only=True)
class ResultDiff:
    """One effect in two runs."""

    technique: str
    metric: str
    earlier: MetricResult
    later: MetricResult

    @property
    def verdict(self) -> Literal["changed", "no change seen"]:
        """`changed` if the intervals do not overlap."""
        if self.earlier.interval is None or self.later.interval is None:
            return "no change seen"
        (low, high), (later_low, later_high) = self.earlier.interval, self.later.interval
        is_above = high is not None and later_low > high
        is_below = later_high is not None and later_high < low
        return "changed" if is_above or is_below else "no change seen"


class _Versioned(BaseModel):
    """What a result of any version has: its version is checked before fields that others may lack."""

    schema_version: int = SCHEMA_VERSION


def read(path: Path) -> LabResult:
    """Read a result; raise `BadTarget` if the file is not one that this version reads."""
    try:
        content = path.read_bytes()
        version = _Versioned.model_validate_json(content).schema_version
        if version != SCHEMA_VERSION:
            raise BadTarget(f"{path} has schema version {version}; this version reads {SCHEMA_VERSION}")
        return LabResult.model_validate_json(content)
    except OSError as error:
        raise BadTarget(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise BadTarget(f"{path} is not a lab result: {problem['msg']}{f' at {where}' if where else ''}") from error


def result_diffs(earlier: LabResult, later: LabResult) -> list[ResultDiff]:
    """Compare the headline of every technique that both runs measured alone."""
    return [
        ResultDiff(
            technique=name, metric=was.headline, earlier=was.metrics[was.headline], later=now.metrics[was.headline]
        )
        for name, was in earlier.techniques.items()
        if (now := later.techniques.get(name)) is not None
        and was.headline in was.metrics
        and was.headline in now.metrics
    ]
