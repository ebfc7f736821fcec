"""The report, the tables and the headlines of a small result."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import ANY

import pytest
from rich.console import Console

from lab.analysis.diff import read, result_diffs
from lab.analysis.outcome import compared
from lab.analysis.result import LabResult, MetricResult
from lab.core.errors import BadTarget
from lab.experiments import AA, BY_NAME
from lab.measure.metric import ArmRound, metric_named
from lab.measure.rounds import Measurement, Round
from lab.report import formatting as figures
from lab.report.formatting import TIMES
from lab.report.palette import VARIABLES, arm_variable
from lab.report.report import html, write
from lab.report.table import markdown, print_headlines, print_result
from service.techniques import ARM_COLOURS
from tests.lab.known_result import recording, result


class Outline(HTMLParser):
    """Collects what a page refers to, and its unclosed elements."""

    VOID = frozenset({"meta", "br", "path", "use", "link", "img", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.elements: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        for name, value in attrs:
            if name in {"href", "src", "xlink:href"} and value:
                self.references.append(value)
            if name == "id" and value:
                self.ids.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_report_needs_nothing_but_itself() -> None:
    page = Outline(html(result()))
    assert "script" not in page.elements
    assert all(reference.startswith("#") for reference in page.references)
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    assert page.open == []
    assert page.elements.count("svg") == 4  # all effects, distributions, bytes and latency by round


def test_the_report_says_effect_interval_verdict_command_and_what_was_not_measured() -> None:
    page = html(result())
    assert f"10.0{TIMES}" in page
    assert "helps" in page
    assert "200 kB" in page
    assert "flightdeck lab run compression &lt;quick&gt;" in page
    assert "needs &lt;a pool&gt;" in page


def test_charts_take_every_colour_from_the_page() -> None:
    charts = "".join(re.findall(r"<svg.*?</svg>", html(result()), flags=re.DOTALL))
    assert "var(--arm-baseline)" in charts
    assert "var(--arm-compression)" in charts
    assert not re.search(r"#[0-9a-f]{6}", charts)


def test_arms_have_the_colours_that_they_have_on_dashboards_and_others_one_of_their_own() -> None:
    page = html(result())
    for arm, colour in ARM_COLOURS.items():
        assert f"--arm-{arm}: {colour};" in page
    assert arm_variable("eager_loading") == "--other"
    assert arm_variable("caching+pooling", is_reference=True) == "--arm-baseline"
    assert re.findall(r"--other: (#\w+)", page)[0] not in ARM_COLOURS.values()


def test_every_variable_that_a_drawing_can_use_is_in_the_style_sheet() -> None:
    page = html(result())
    for variable in VARIABLES.values():
        assert f"{variable}: #" in page


def test_a_run_too_short_for_intervals_still_makes_a_report_that_says_so() -> None:
    page = html(result(rounds=2))
    assert "too few requests: 2 more rounds needed" in page
    assert "there is no verdict" in page


def test_a_report_leaves_the_result_beside_it_and_it_reads_back(tmp_path: Path) -> None:
    made = result()
    path = write(made, tmp_path / "deep" / "report.html")
    assert read(path.with_suffix(".json")) == made


def test_a_report_that_cannot_be_drawn_leaves_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: LabResult) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.report.report.html", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(result(), tmp_path / "report.html")
    assert read(tmp_path / "report.json") == result().model_copy(update={"environment": ANY})


def test_an_interrupted_run_says_whether_anything_was_kept() -> None:
    def said(seen: LabResult) -> str:
        console = Console(record=True, width=120)
        print_result(seen.model_copy(update={"is_interrupted": True}), console)
        return console.export_text()

    assert "Interrupted: complete rounds are kept." in said(result())
    assert "Interrupted before anything was measured." in said(result().model_copy(update={"techniques": {}}))


def test_the_json_result_gives_every_metric_off_on_ratio_and_interval() -> None:
    metrics = result().model_dump(mode="json")["techniques"]["compression"]["metrics"]
    size = metrics["bytes_per_request"]
    assert (size["off"], size["verdict"], size["better"]) == (pytest.approx(200_000), "helps", "lower")
    assert size["ratio"] == pytest.approx(size["off"] / size["on"])
    assert size["interval"][0] < size["ratio"] < size["interval"][1]


def test_tables_and_markdown_show_the_same_effect() -> None:
    console = Console(record=True, width=120)
    print_result(result(), console)
    print_headlines(result(), console)
    text = console.export_text()
    assert f"10.0{TIMES}" in text
    assert "Compression: 90 % fewer bytes (200 kB → 20.0 kB per request)" in text
    assert "pooling was not measured: needs <a pool>" in text
    assert f"| Compression | bytes per request | 200 kB | 20.0 kB | 10.0{TIMES} |" in markdown(result())


@pytest.mark.parametrize(
    ("statuses", "is_valid"),
    [({200: 39, 401: 1}, False), ({404: 40}, False), ({200: 39, 404: 1}, True), ({200: 20, 304: 20}, True)],
)
def test_a_few_404_responses_are_not_rejections(statuses: dict[int, int], is_valid: bool) -> None:
    seen = recording(0.1, 300)
    seen.statuses.clear()
    seen.statuses.update(statuses)
    rounds = [
        Round(
            at_s=0.0,
            arms={"baseline": ArmRound(open_loop=seen), "compression": ArmRound(open_loop=recording(0.2, 20_000))},
        )
        for _ in range(4)
    ]
    sides = {"baseline": frozenset[str](), "compression": frozenset({"compression"})}
    assert compared(BY_NAME["compression"], Measurement(rounds=rounds), sides=sides).is_valid is is_valid


def test_an_arm_that_rejects_requests_makes_the_result_invalid() -> None:
    rejecting = recording(0.001, 300)
    rejecting.statuses.clear()
    rejecting.statuses[401] = 40
    rounds = [
        Round(
            at_s=0.0,
            arms={"baseline": ArmRound(open_loop=rejecting), "compression": ArmRound(open_loop=recording(0.2, 20_000))},
        )
        for _ in range(4)
    ]
    sides = {"baseline": frozenset[str](), "compression": frozenset({"compression"})}
    seen = compared(BY_NAME["compression"], Measurement(rounds=rounds), sides=sides)
    assert not seen.is_valid
    assert "baseline rejected 160 of 160 requests, mostly with 401" in " ".join(seen.notes)
    assert result().techniques["compression"].is_valid


def test_the_published_schema_is_that_of_the_results() -> None:
    published = Path(__file__).parents[3] / "docs" / "lab-result.schema.json"
    assert json.loads(published.read_text()) == LabResult.model_json_schema()


def test_two_runs_that_agree_show_no_change_and_two_that_do_not_show_one() -> None:
    same = result_diffs(result(), result())
    assert [each.verdict for each in same] == ["no change seen"]
    changed = result_diffs(result(), result(on_bytes=60_000))
    assert [(each.technique, each.verdict) for each in changed] == [("compression", "changed")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        ("{", "is not a lab result"),
        ('{"command": "x"}', "is not a lab result: Field required at seed"),
    ],
    ids=["missing", "not JSON", "something else"],
)
def test_a_file_without_a_result_is_rejected_with_the_reason(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    path = tmp_path / "result.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadTarget, match=complaint):
        read(path)


def test_a_result_of_another_schema_version_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(result().model_copy(update={"schema_version": 99}).model_dump_json())
    with pytest.raises(BadTarget, match="schema version 99"):
        read(path)
    path.write_text('{"schema_version": 2, "techniques": {"pooling": {"name": "pooling"}}}')
    with pytest.raises(BadTarget, match="schema version 2; this version reads 3"):
        read(path)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.2345, "s", "234 ms"),
        (0.00042, "s", "420 µs"),
        (12.3, "s", "12.3 s"),
        (0.0, "s", "0 µs"),
        (226_400, "bytes", "226 kB"),
        (1_500_000, "bytes", "1.50 MB"),
        (0.971, "share", "97.1 %"),
        (612.4, "1/s", "612 /s"),
        (0.0, "connects", "0"),
        (None, "s", "\N{EN DASH}"),
    ],
)
def test_figures_are_written_with_three_digits_and_a_unit_that_suits(value: float | None, unit: str, text: str) -> None:
    assert figures.quantity(value, unit) == text


def test_an_effect_without_a_ratio_is_bounded_from_below() -> None:
    metric = MetricResult(
        title="connects", unit="connects", better="lower", off=1.0, on=0.0, ratio=None, interval=(120.0, None),
        confidence=0.95, detectable=None, rounds=6, verdict="helps",
    )  # fmt: skip
    assert figures.effect(metric) == f"> 120{TIMES}"
    assert figures.interval(metric) == "at least 120"


def test_where_an_arm_counted_zero_the_effect_is_a_change_in_percent() -> None:
    metric = MetricResult(
        title="connects", unit="connects", better="lower", off=1.05, on=0.0, ratio=None, interval=(120.0, None),
        confidence=0.95, detectable=None, rounds=6, verdict="helps", difference=(-1.07, -1.03),
    )  # fmt: skip
    assert figures.effect(metric) == "100 % fewer"
    assert figures.interval(metric) == "98 % to 100 % fewer"


def test_an_interval_without_information_is_not_printed_as_one() -> None:
    metric = MetricResult(
        title="latency", unit="s", better="lower", off=1.0, on=0.5, ratio=2.0, interval=(0.002, 1900.0),
        confidence=0.995, detectable=None, rounds=5, verdict="no difference seen", more_rounds=485,
    )  # fmt: skip
    assert figures.interval(metric) == "too few requests: 485 more rounds needed"
    assert figures.change_interval(metric) == "too few requests: 485 more rounds needed"
    far = metric.model_copy(update={"interval": (2.0, 1900.0), "verdict": "helps", "more_rounds": 100})
    assert figures.interval(far) == "at least 2.00"
    assert figures.change_interval(far) == "at least 50 % lower"


def test_an_interval_that_ends_with_nothing_left_has_one_bound() -> None:
    metric = result().techniques["compression"].metrics["bytes_per_request"]
    counted = metric.model_copy(update={"off": 1.1, "on": 0.0, "interval": None, "difference": (-1.1, -1.0995)})
    assert figures.change_interval(counted) == "more than 99.9 % fewer"


def test_the_report_leads_with_what_changed_and_at_what_cost() -> None:
    lead = "Compression: 90 % fewer bytes (200 kB → 20.0 kB per request)"
    page = html(result())
    assert page.index(lead) < page.index("Summary")
    assert page.count(lead) == 1
    console = Console(record=True, width=120)
    print_result(result(), console)
    text = console.export_text()
    assert text.index(lead) < text.index("verdict")
    assert f"- {lead}." in markdown(result())


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("memory_bytes", {"off": 176e6, "on": 182e6, "interval": None}, "memory 176 MB → 182 MB"),
        ("memory_bytes", {"off": 182e6, "on": 177e6, "interval": None}, "none seen"),
        ("error_share", {"off": 0.0, "on": 0.125, "ratio": None, "interval": (0.0, 0.0)}, "error rate 0 % → 12.5 %"),
        ("error_share", {"off": 0.125, "on": 0.0, "ratio": None, "interval": (0.0, 0.0)}, "none seen"),
        ("mean_s", {"off": 0.1, "on": 0.2, "verdict": "hurts"}, "mean latency 100 ms → 200 ms"),
        ("mean_s", {"off": 0.1, "on": 0.11}, "none seen"),
    ],
)
def test_a_cost_is_what_became_worse(name: str, change: dict[str, object], expected: str) -> None:
    compression = result().techniques["compression"]
    like = compression.metrics["mean_s"].model_copy(
        update={"ratio": 1.0, "interval": (0.9, 1.1), "verdict": "no difference seen"}
    )
    named = metric_named(name)
    metric = like.model_copy(update={"title": named.title, "unit": named.unit, "better": named.better} | change)
    assert figures.cost(compression.model_copy(update={"metrics": {name: metric}, "costs": [name]})) == expected


def test_a_run_without_a_difference_says_which_one_it_could_have_seen() -> None:
    notes = " ".join(result(on_bytes=200_000).techniques["compression"].notes)
    assert "in bytes per request would have been seen with a probability of 80 %" in notes
    assert "would have been seen" not in " ".join(result().techniques["compression"].notes)


def test_warm_and_cold_caches_are_stated_apart() -> None:
    caching, first_pass = recording(0.1, 300), recording(0.3, 300)
    for _ in range(30):
        caching.hits.record(0.001)
    for _ in range(10):
        caching.misses.record(0.04)
        first_pass.misses.record(0.25)
    rounds = [
        Round(
            at_s=0.0,
            arms={
                "baseline": ArmRound(open_loop=recording(0.2, 9_000)),
                "compression": ArmRound(open_loop=caching, cold=first_pass),
            },
        )
        for _ in range(4)
    ]
    sides = {"baseline": frozenset[str](), "compression": frozenset({"compression"})}
    seen = compared(BY_NAME["compression"], Measurement(rounds=rounds), sides=sides)
    notes = " ".join(seen.notes)
    assert "75 % of the cacheable responses of compression were hits, with a mean latency of 1 ms" in notes
    assert "that of misses was 40 ms" in notes
    assert "the first request for each of 40 targets took compression 250 ms on average" in notes
    assert (seen.off.hits, seen.off.cold) == (None, None)
    assert [each and each.responses for each in (seen.on.hits, seen.on.misses, seen.on.cold)] == [120, 40, 40]


def between_two_services() -> LabResult:
    """Return a comparison of two running services."""
    seen = {"A": recording(0.2, 20_000), "B": recording(0.1, 20_000)}
    rounds = [
        Round(at_s=number, arms={name: ArmRound(open_loop=each) for name, each in seen.items()}) for number in range(5)
    ]
    experiment = replace(BY_NAME["pooling"], name="comparison", question="Is B better than A?", headline="p95_s")
    sides = {name: frozenset[str]() for name in seen}
    found = compared(experiment, Measurement(rounds=rounds), sides=sides)
    return result().model_copy(update={"techniques": {"comparison": found}, "skipped": {}})


def test_intervals_of_an_aa_run_have_a_confidence_at_which_all_of_them_hold_together() -> None:
    rounds = [
        Round(at_s=number, arms={name: ArmRound(open_loop=recording(0.2, 9_000)) for name in "ab"})
        for number in range(5)
    ]
    equal = {name: frozenset({"pooling", "indexes"}) for name in "ab"}
    found = compared(AA, Measurement(rounds=rounds), sides=equal)
    assert {metric.confidence for metric in found.metrics.values()} == {0.999}
    assert result().techniques["compression"].metrics["bytes_per_request"].confidence == 0.95
    assert result().techniques["compression"].metrics["p50_s"].confidence == 0.995


def test_a_comparison_of_two_services_names_them_and_no_technique() -> None:
    console = Console(record=True, width=120)
    print_result(between_two_services(), console)
    for text in (console.export_text(), markdown(between_two_services()), html(between_two_services())):
        assert "Is B better than A?" in text
        assert "without and with" not in text
    assert "| technique | metric | A | B | effect |" in markdown(between_two_services())
    assert '<th class="n">A</th><th class="n">B</th>' in html(between_two_services())


@pytest.mark.parametrize(
    ("off", "on", "title", "unit", "expected"),
    [
        (1.05, 0.008, "connects per request", "connects", "99 % fewer connects (1.05 → 0.008 per request)"),
        (1.05, 0.0, "connects per request", "connects", "100 % fewer connects (1.05 → 0 per request)"),
        (1.2, 0.03, "report p50 latency", "s", "98 % lower report p50 latency (1.20 s → 30.0 ms)"),
        (1e6, 1e2, "bytes per request", "bytes", "more than 99.9 % fewer bytes (1.00 MB → 100 B per request)"),
        (0.002, 0.0021, "CPU per request", "s", "5.0 % higher CPU (2.00 ms → 2.10 ms per request)"),
        (100.0, 210.0, "throughput", "1/s", "110 % higher throughput (100 /s → 210 /s)"),
    ],
    ids=["fewer", "none left", "lower", "almost none left", "more", "higher is better"],
)
def test_a_headline_is_a_sentence(off: float, on: float, title: str, unit: str, expected: str) -> None:
    metric = MetricResult(
        title=title, unit=unit, better="higher" if unit == "1/s" else "lower", off=off, on=on, ratio=2.0,
        interval=(1.5, 2.5), confidence=0.95, detectable=None, rounds=6, verdict="helps",
    )  # fmt: skip
    experiment = result().techniques["compression"].model_copy(update={"headline": "m", "metrics": {"m": metric}})
    assert str(figures.Headline.of(experiment)) == f"Compression: {expected}"


def test_a_headline_without_a_difference_says_so() -> None:
    metric = MetricResult(
        title="p95 latency", unit="s", better="lower", off=0.1, on=0.11, ratio=0.91, interval=(0.8, 1.25),
        confidence=0.95, detectable=None, rounds=6, verdict="no difference seen",
    )  # fmt: skip
    experiment = result().techniques["compression"].model_copy(update={"headline": "m", "metrics": {"m": metric}})
    headline = figures.Headline.of(experiment)
    assert str(headline) == "Compression: no difference seen in p95 latency (100 ms → 110 ms)"
    assert headline.interval == "95 % interval: 20 % lower to 25 % higher"
