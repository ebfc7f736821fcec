"""Lab results: effects with their intervals, costs, negative controls."""

from typing import Final

from grafana_foundation_sdk.builders import table as table_builder
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
from prometheus.slo import Objectives

VERDICTS: Final = {"1": ("helps", GOOD), "0": ("no difference seen", QUIET), "-1": ("hurts", BAD)}
YES_NO: Final = {"1": ("yes", GOOD), "0": ("no", BAD)}
SAME: Final = "on (experiment, part, metric)"
DECIDES: Final = f"and {SAME} lab_effect_headline == 1"
ALONE: Final = 'part="techniques"'
BY_METRIC: Final = {"experiment": "Experiment", "metric": "Metric"}
DECIDING: Final = {
    "Durations": ('metric=~".*_s", metric!~".*_per_s"', units.SECONDS),
    "Bytes": ('metric=~".*bytes_per_request"', units.BYTES),
    "Counts per request": ('metric=~".*_per_request", metric!~".*bytes_per_request"', units.COUNT),
}
"""Matchers and units of the deciding metrics, by the title of their panel."""
ABSENT: Final = "no result is scraped"


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-lab",
        title="Lab results",
        question="What is the effect of each technique under controlled load, how certain is it, what does it cost?",
        sections=[
            Section(title="", panels=[_machine(), _effects(), _ranked()]),
            Section(title="Before and after", panels=_values()),
            Section(title="Costs and negative controls", panels=[_costs(), _negative_controls()]),
            Section(title="Leave-one-out", panels=[_left_out(), _how_to(), _running()]),
        ],
        variables=("datasource",),
    ).build(objectives)


def _interval(where: str, *, matching: str = DECIDES, by: str = "experiment, metric") -> list[Column]:
    def of(name: str) -> str:
        return f"max by ({by}) (lab_effect_{name}{{{where}}} {matching})"

    return [
        Column(title="Verdict", query=rows(of("verdict")), unit=units.COUNT, words=VERDICTS),
        Column(title="Effect", query=rows(of("ratio")), unit=units.FACTOR, decimals=2),
        Column(title="at least", query=rows(of("ratio_low")), unit=units.FACTOR, decimals=2),
        Column(title="at most", query=rows(of("ratio_high")), unit=units.FACTOR, decimals=2),
    ]


def _machine() -> Builder[Panel]:
    return (
        stat(
            "Measured on",
            "The machine and the database of the results on this board. The compose stack shows the reference result "
            "of the repository until a run of your own replaces it.",
            instant(
                "topk(1, max by (processor, cores, system, python, database) (lab_machine_info))",
                "{{processor}}, {{cores}} cores, {{system}}, {{python}}, {{database}}",
            ),
            unit=units.COUNT,
        )
        .text_mode(BigValueTextMode.NAME)
        .no_value(ABSENT)
        .span(24)
        .height(3)
    )


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
            "alternating rounds. Effect is the ratio without / with of the deciding metric (with / without for "
            "throughput), above 1 is better; with 95 % confidence it lies between at least and at most. An interval "
            "that includes 1 is no difference seen. Distrust rows whose load was not valid.",
            *_interval(ALONE),
            Column(title="Load valid", query=rows(of_experiment("valid")), unit=units.COUNT, words=YES_NO),
            Column(
                title="Finished", query=rows(of_experiment("finished_timestamp_seconds", " * 1000")), unit=units.WHEN
            ),
            key=BY_METRIC,
        )
        .no_value(ABSENT)
        .span(16)
        .height(23)
    )


def _ranked() -> Builder[Panel]:
    return (
        bars(
            "Largest effects",
            "The twelve largest effects, each by the deciding metric of its experiment. Different metrics are not "
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
        .height(23)
    )


def _values() -> list[Builder[Panel]]:
    durations, *counts = (
        _sides(
            title,
            "The deciding metric on the arm without the technique and on the arm with it; the effect is their ratio. "
            "Lower is better.",
            matchers,
            unit=unit,
            matching=DECIDES,
        )
        for title, (matchers, unit) in DECIDING.items()
    )
    throughput = _sides(
        "Throughput",
        "Requests per second of the arm without the technique and of the arm with it. Both arms had the same requests "
        "to finish. Higher is better.",
        'metric="throughput_per_s"',
        unit=units.REQUESTS_PER_SECOND,
    )
    return [durations.height(15), throughput.height(15), *(panel.height(7) for panel in counts)]


def _sides(title: str, description: str, matchers: str, *, unit: str, matching: str = "") -> table_builder.Panel:
    def side(name: str) -> str:
        return f'max by (experiment, metric) (lab_arm_value{{{ALONE}, side="{name}", {matchers}}} {matching})'

    return (
        table(
            title,
            description,
            Column(title="without", query=rows(side("off")), unit=unit, bar=True),
            Column(title="with", query=rows(side("on")), unit=unit, bar=True),
            key=BY_METRIC,
        )
        .no_value("not measured")
        .span(12)
    )


def _costs() -> Builder[Panel]:
    worse = f"and {SAME} lab_effect_verdict == -1"
    return (
        table(
            "Costs",
            "Metrics that a technique makes worse with confidence: an effect of 0.5 is twice as much memory, time or "
            "CPU. A technique without a row has no cost that was seen.",
            *_interval(ALONE, matching=worse)[1:],
            key=BY_METRIC,
        )
        .no_value("no metric became worse")
        .span(12)
        .height(10)
    )


def _negative_controls() -> Builder[Panel]:
    return (
        table(
            "Negative controls",
            "The same arms under traffic that the technique should not affect. Good is no difference seen in every "
            "row: anything else means that the arms differ in more than the technique, or that the machine was busy.",
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
            "Leave-one-out",
            "All techniques against all but one. An effect near 1 means that the other techniques achieve the same: "
            "they overlap.",
            *_interval('part="leave_one_out"'),
            key=BY_METRIC,
        )
        .no_value("not measured; use flightdeck lab run --leave-one-out")
        .span(12)
        .height(10)
    )


def _how_to() -> Builder[Panel]:
    return (
        text(
            "Measure it yourself",
            "Commands that publish results on this board, while they are measured or afterwards.",
            "```\nflightdeck lab run all --metrics-port 9475\nflightdeck lab serve results.json --port 9475\n```\n\n"
            "The first serves results while it measures, the second those of an earlier run. In the compose stack, "
            "`docker compose --profile lab run --rm lab run compression` publishes its results here. With "
            "`GRAFANA_URL` every experiment is annotated on these boards.",
        )
        .span(7)
        .height(10)
    )


def _running() -> Builder[Panel]:
    return (
        stat(
            "Running now",
            "The experiment that is measured at this moment, if any.",
            instant("topk(1, lab_experiment_running == 1)", "{{experiment}}"),
            unit=units.COUNT,
        )
        .text_mode(BigValueTextMode.NAME)
        .thresholds(neutral(GOOD))
        .no_value("none")
        .span(5)
        .height(10)
    )
