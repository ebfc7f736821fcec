"""The outcomes of a calibration as one self-contained HTML file, and as JSON beside it."""

from collections.abc import Sequence
from pathlib import Path

from lab.calibration import table
from lab.calibration.result import OUTCOMES, Outcome, calibrations, not_calibrated, summary
from lab.report.page import page


def html(outcomes: Sequence[Outcome], *, command: str) -> str:
    return page("calibration.html.j2", package="lab.calibration")(
        command=command,
        summary=summary(outcomes),
        heads=table.HEADS,
        rows=[table.cells(one) for one in calibrations(outcomes)],
        misses=list(table.misses(outcomes)),
        missing=[table.sentence(one) for one in not_calibrated(outcomes)],
    )


def write(outcomes: Sequence[Outcome], path: Path, *, command: str) -> Path:
    """Write the JSON, then the report beside it; an interruption leaves the files as they were. Return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path.with_suffix(".json"), OUTCOMES.dump_json(outcomes, indent=2))
    _replace(path, html(outcomes, command=command).encode())
    return path


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
