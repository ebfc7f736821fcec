"""Lab results: what was measured with intervals, what it cost, and where nothing should have changed."""

from typing import Final

from grafana_foundation_sdk.builders.common import VizTextDisplayOptions
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana import units
from grafana.board import Board, Section
from grafana.colours import BAD, GOOD, QUIET
from grafana.panels.bars import bars
from grafana.panels.stat import stat
from grafana.panels.table import Column, table
from grafana.panels.text import text
from grafana.query import instant, rows
from grafana.thresholds import neutral

VERDICTS: Final = {"1": ("helps", GOOD), "0": ("no difference seen", QUIET), "-1": ("hurts", BAD)}
ANSWERS: Final = {"1": ("yes", GOOD), "0": ("no", BAD)}
SAME: Final = "on (experiment, part, metric)"
DECIDES: Final = f"and {SAME} lab_effect_headline == 1"
ALONE: Final = 'part="techniques"'
BY_METRIC: Final = {"experiment": "Experiment", "metric": "Metric"}
ABSENT: Final = "no result is scraped"


def dashboard() -> Dashboard:
    """Return the board about the lab's results."""
    return Board(
        uid="flightdeck-lab",
        title="Lab results",
        question="What does each technique buy under controlled load, how sure is that, and what does it cost?",
        sections=[
            Section(title="", panels=[_effects(), _ranked()]),
            Section(title="Before and after", panels=_values()),
            Section(title="What it costs, and where nothing should change", panels=[_costs(), _negative_controls()]),
            Section(title="Every technique missing from all the others", panels=[_left_out(), _how_to(), _running()]),
        ],
        variables=("datasource",),
    ).build()


def _interval(where: str, *, matching: str = DECIDES, by: str = "experiment, metric") -> list[Column]:
    def of(name: str) -> str:
        return f"max by ({by}) (lab_effect_{name}{{{where}}} {matching})"

    return [
        Column(title="Verdict", query=rows(of("verdict")), unit=units.COUNT, words=VERDICTS),
        Column(title="Effect", query=rows(of("ratio")), unit=units.FACTOR, decimals=2),
        Column(title="at least", query=rows(of("ratio_low")), unit=units.FACTOR, decimals=2),
        Column(title="at most", query=rows(of("ratio_high")), unit=units.FACTOR, decimals=2),
    ]


def _effects() -> Builder[Panel]:
    def of_experiment(name: str, scale: str = "") -> str:
        deciding = "max by (experiment, part, metric) (lab_effect_headline == 1)"
        return (
            "max by (experiment, metric) "
            f"({deciding} * on (experiment, part) group_left () lab_experiment_{name}{{{ALONE}}}{scale})"
        )

    return (
        table(
            "Effects of single techniques",
            "One row for each experiment: two arms that differ in exactly these techniques, under the same load in "
            "turns. "
            "Effect is the ratio without / with of the metric that decides, above 1 is better; with 95 % confidence it "
            "lies "
            "between at least and at most. An interval that includes 1 is no difference seen. Distrust rows whose load "
            "was not valid.",
            *_interval(ALONE),
            Column(title="Load valid", query=rows(of_experiment("valid")), unit=units.COUNT, words=ANSWERS),
            Column(
                title="Finished", query=rows(of_experiment("finished_timestamp_seconds", " * 1000")), unit=units.WHEN
            ),
            key=BY_METRIC,
        )
        .no_value(ABSENT)
        .span(16)
        .height(15)
    )


def _ranked() -> Builder[Panel]:
    return (
        bars(
            "How many times better",
            "The twelve largest effects, each by the metric that decides its experiment. Different metrics are not "
            "comparable: ten times fewer bytes is not ten times faster.",
            instant(
                f"sort_desc(topk(12, max by (experiment) (lab_effect_ratio{{{ALONE}}} {DECIDES})))", "{{experiment}}"
            ),
            unit=units.FACTOR,
        )
        .decimals(1)
        .text(VizTextDisplayOptions().title_size(14).value_size(18))
        .no_value(ABSENT)
        .span(8)
        .height(15)
    )


def _values() -> list[Builder[Panel]]:
    def side(name: str, metrics: str) -> str:
        return f'max by (experiment, metric) (lab_arm_value{{{ALONE}, side="{name}", metric=~"{metrics}"}} {DECIDES})'

    return [
        table(
            title,
            "The metric that decides, on the arm without the technique and on the one with it: what the effect is the "
            "ratio of. Smaller is better, except for throughput.",
            Column(title="without", query=rows(side("off", metrics)), unit=unit, bar=True),
            Column(title="with", query=rows(side("on", metrics)), unit=unit, bar=True),
            key=BY_METRIC,
        )
        .no_value("none was measured")
        .span(12)
        .height(7)
        for title, metrics, unit in (
            ("Times", "(.*[.])?(p50|p95|p99|cpu_per_request)_s", units.SECONDS),
            ("Bytes", ".*bytes.*", units.BYTES),
            ("Counts for a request", "(.*[.])?(queries|connects|upstream_connects)_per_request", units.COUNT),
            ("Throughput", "(.*[.])?throughput_per_s", units.REQUESTS_PER_SECOND),
        )
    ]


def _costs() -> Builder[Panel]:
    worse = f"and {SAME} lab_effect_verdict == -1"
    return (
        table(
            "What became worse",
            "Metrics that a technique makes worse with confidence: an effect of 0.5 is twice as much memory, time or "
            "CPU. This is the price; a technique without a row has none that was seen.",
            *_interval(ALONE, matching=worse)[1:],
            key=BY_METRIC,
        )
        .no_value("nothing became worse")
        .span(12)
        .height(10)
    )


def _negative_controls() -> Builder[Panel]:
    return (
        table(
            "Where it should make no difference",
            "The same arms under traffic that the technique does not touch. Good is no difference seen in every row: "
            "anything else says that the arms differ in more than the technique, or that the machine was busy.",
            *_interval('part="control"'),
            key=BY_METRIC,
        )
        .no_value("not measured; flightdeck lab run --control does")
        .span(12)
        .height(10)
    )


def _left_out() -> Builder[Panel]:
    return (
        table(
            "Everything but this one",
            "All techniques against all but one. An effect near 1 says that the others cover for it: techniques "
            "overlap.",
            *_interval('part="leave_one_out"'),
            key=BY_METRIC,
        )
        .no_value("not measured; flightdeck lab run --leave-one-out does")
        .span(12)
        .height(10)
    )


def _how_to() -> Builder[Panel]:
    return (
        text(
            "Measure it yourself",
            "Commands that bring results to this board, while they are measured or afterwards.",
            "```\nflightdeck lab run all --metrics-port 9475\nflightdeck lab serve results.json --port 9475\n```\n\n"
            "The first is scrapable while it measures; the second shows a result from before. With `GRAFANA_URL` every "
            "experiment is marked on these boards.",
        )
        .span(7)
        .height(10)
    )


def _running() -> Builder[Panel]:
    return (
        stat(
            "Running now",
            "The experiment that is being measured at this moment, if any.",
            instant("topk(1, lab_experiment_running == 1)", "{{experiment}}"),
            unit=units.COUNT,
        )
        .text_mode(BigValueTextMode.NAME)
        .thresholds(neutral(GOOD))
        .no_value("none")
        .span(5)
        .height(10)
    )
