"""Predicted beside measured: what counts as right, how a miss is listed, and what a failure leaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.advice.result import Prediction
from lab.advice.result import Verdict as Predicted
from lab.analysis.result import ExperimentResult, LabResult, MetricResult
from lab.calibration.baseline import Baseline
from lab.calibration.calibrate import Calibrator
from lab.calibration.report import write
from lab.calibration.result import OUTCOMES, Calibration, NotCalibrated, Outcome, summary
from lab.calibration.table import markdown, print_outcomes, sentence
from lab.core.errors import ArmFailed
from lab.experiments import Experiment, select_experiments
from lab.load.generator import LoadCommand
from lab.load.load_model import ClosedLoop, Phase
from lab.measure.plan import QUICK
from lab.measure.rounds import Progress
from lab.report.formatting import quantity
from lab.run import Job, RunOptions
from tests.lab import known_result
from tests.lab.calibration.counting_arm import CountingArm, trials
from tests.lab.measure.test_rounds import NullProgress


def calibration(
    effect: float | None, interval: tuple[float, float | None] | None, ratio: float, verdict: Predicted = "helps"
) -> Calibration:
    predicted = Prediction(
        technique="pooling", title="Pooling", verdict=verdict, metric="connects", unit="", cost="", effect=effect,
        interval=interval,
    )  # fmt: skip
    measured = MetricResult(
        title="connects", unit="", better="lower", off=ratio, on=1.0, ratio=ratio, interval=(ratio, ratio),
        confidence=0.95, detectable=None, rounds=5, verdict="helps",
    )  # fmt: skip
    return Calibration(technique="pooling", predicted=predicted, measured=measured)


@pytest.mark.parametrize(
    ("effect", "interval", "ratio", "is_right"),
    [
        (4.0, (2.0, 6.0), 5.9, True),
        (4.0, (3.9, 4.1), 4.9, True),
        (4.0, (3.9, 4.1), 5.1, False),
        (4.0, (2.0, None), 900.0, True),
        (None, (50.0, None), 900.0, True),
        (None, (50.0, None), 9.0, False),
    ],
    ids=[
        "in the interval",
        "within 25 %",
        "outside",
        "open interval",
        "nothing predicted to be left",
        "too optimistic",
    ],
)
def test_an_effect_is_right_in_the_interval_or_within_a_quarter(
    effect: float | None, interval: tuple[float, float | None], ratio: float, is_right: bool
) -> None:
    one = calibration(effect, interval, ratio)
    assert one.effect_is_right == is_right
    assert one.is_miss != is_right


def test_each_miss_is_listed_with_room_for_its_reason() -> None:
    calibrations = [calibration(4.0, (3.9, 4.1), 9.0), calibration(4.0, (3.9, 4.1), 4.0)]
    calibrations.append(calibration(None, None, 4.0, "too little traffic"))
    misses = [line for line in markdown(calibrations).splitlines() if line.startswith("- ")]
    shown = [quantity(effect, "times") for effect in (4.0, 9.0)]
    assert misses == [f"- pooling: helps was predicted, {shown[0]}; helps was measured, {shown[1]}. Reason: …"]
    assert summary(calibrations).startswith("2 of 3 techniques predicted: 2 verdicts right, 1 effects")
    assert "Misses" not in markdown(calibrations[1:])


def test_a_wrong_verdict_is_a_miss_too() -> None:
    assert calibration(1.04, (0.9, 6.0), 5.0, "no difference").is_miss


class FailingArm(CountingArm):
    """Ends while it is observed."""

    def check(self) -> None:
        raise ArmFailed(self.name, "ended with code 137", "out of memory")


KNOWN = cache(known_result.result)


async def measure(jobs: Sequence[Job], _options: RunOptions, _progress: Progress) -> LabResult:
    """Return the known result for the job's experiment, without `eager_loading`, whose arm does not start."""
    (job,) = jobs
    result = KNOWN()
    experiment = job.comparisons[0].experiment.name
    if experiment == "eager_loading":
        skipped = {job.label: "arm baseline was not ready after 30 s"}
        return result.model_copy(update={"techniques": {}, "skipped": skipped})
    return result.model_copy(update={"techniques": {experiment: result.techniques["compression"]}})


@asynccontextmanager
async def observe(experiment: Experiment, found: ExperimentResult, _options: RunOptions) -> AsyncIterator[Baseline]:
    """Yield an arm that ends while `pagination` is predicted; the user interrupts `connection_reuse`."""
    if experiment.name == "connection_reuse":
        raise asyncio.CancelledError
    arm = (FailingArm if experiment.name == "pagination" else CountingArm)(trials(2.0))
    load = LoadCommand(
        arm=arm.name, url=arm.url, model=ClosedLoop(clients=4), phase=Phase(duration_s=2.0), stream=0, mix="boards"
    )
    yield Baseline(arm=arm, generator=arm, warm_up=load, rate_per_s=found.rate_per_s)


NAMES = ["eager_loading", "pagination", "compression", "connection_reuse", "timeouts"]
OUTCOMES_BY_NAME = [
    ("eager_loading", "failed", "arm baseline was not ready after 30 s"),
    ("pagination", "failed", "arm baseline ended with code 137; the end of its log:\n    out of memory"),
    ("connection_reuse", "interrupted", "while it was predicted"),
]


@pytest.mark.anyio
async def test_a_failed_arm_ends_its_own_technique_only_and_an_interruption_keeps_what_is_known(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    options = RunOptions(data_dir=tmp_path, command="", plan=QUICK)
    calibrator = Calibrator(options=options, progress=NullProgress(), seconds=20.0, measure=measure, observe=observe)
    await calibrator.run(select_experiments(NAMES), outcomes.append)
    missing = [one for one in outcomes if isinstance(one, NotCalibrated)]
    assert [(one.technique, one.outcome, one.reason) for one in missing] == OUTCOMES_BY_NAME
    assert [one.measured is not None for one in missing] == [False, True, True]
    (compared,) = (one for one in outcomes if isinstance(one, Calibration))
    assert (compared.technique, compared.verdict_is_right) == ("compression", True)


@pytest.fixture
def calibrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Run the command on the arms above; return its exit code and its standard output."""
    (tmp_path / "flightdeck.db").touch()
    scripted = partial(Calibrator, measure=measure, observe=observe)
    monkeypatch.setattr("lab.calibration.calibrate.Calibrator", scripted)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["lab", "calibrate", "--data-dir", str(tmp_path), *arguments])
        return result.exit_code, result.stdout

    return run


def test_the_exit_code_says_whether_all_techniques_were_compared(calibrate: Callable[..., tuple[int, str]]) -> None:
    assert [calibrate(*names)[0] for names in (NAMES[2:3], NAMES[1:3], NAMES)] == [0, 1, 130]


def test_json_and_the_report_have_every_technique_that_was_begun(
    calibrate: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    report = tmp_path / "reports" / "calibration.html"
    _, output = calibrate(*NAMES, "--json", "--report", str(report))
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["technique"] for line in lines] == NAMES[:4]
    written = OUTCOMES.validate_json(report.with_suffix(".json").read_bytes())
    assert [one.model_dump(mode="json") for one in written] == lines
    page = report.read_text()
    assert all(f"{name}: {outcome}" in page for name, outcome, _ in OUTCOMES_BY_NAME)


def test_a_report_is_there_after_each_technique(tmp_path: Path) -> None:
    known: list[Outcome] = []
    for one in (calibration(4.0, (3.9, 4.1), 9.0), NotCalibrated(technique="x", outcome="failed", reason="<its log>")):
        known.append(one)
        page = write(known, tmp_path / "c.html", command="flightdeck").read_text()
        assert summary(known) in page
    assert "failed: &lt;its log&gt;" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.html", "c.json"]


def test_the_table_fits_a_terminal_and_lists_each_miss() -> None:
    console = Console(width=80, record=True, file=StringIO())
    print_outcomes([calibration(1234.0, (943.0, 2209.0), 4.0), calibration(4.0, (3.9, 4.1), 4.0)], console)
    printed = console.export_text()
    assert "…" not in printed
    assert f"pooling: helps was predicted, {quantity(1234.0, 'times')}" in printed
    assert "2 verdicts right, 1 effects" in printed


def test_markdown_lists_what_is_not_compared_on_one_line() -> None:
    missing = NotCalibrated(technique="pooling", outcome="failed", reason="ended; its log:\n    killed")
    assert "\n- pooling: failed: ended; its log: killed\n" in markdown([missing])
    assert sentence(missing.model_copy(update={"measured": calibration(4.0, None, 4.0).measured})).startswith(
        f"pooling: failed (measured: {quantity(4.0, 'times')}): "
    )
