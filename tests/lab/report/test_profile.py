"""Flame graphs and the differences between them, in the report."""

import re
from xml.etree import ElementTree as ET

import pytest

from lab.analysis.result import ExperimentResult, LabResult
from lab.profile.result import ProfileResult
from lab.profile.stacks import Stack
from lab.report.flame_graph import ROW, WIDTH, Call, boxes, flame_graph
from lab.report.profile import MINUS, ProfileSection
from lab.report.report import html
from tests.lab.known_result import result
from tests.lab.report.test_report import Outline

BOARD, COMPRESS = "departures (service/airports/routes.py)", "compressed (service/compression/codings.py)"
OFF = {("event loop",): 1.0, ("event loop", 'fastapi: <app> & "more"', BOARD): 2.0, ("aiosqlite: run",): 1.0}
ON = {("event loop",): 1.0, ("event loop", BOARD): 2.0, ("event loop", COMPRESS, "brotli: compress"): 3.0}


def profiled(*, off: dict[Stack, float] = OFF, on: dict[Stack, float] = ON) -> LabResult:
    found = result()
    experiment = found.techniques["compression"]
    experiment.off.profile = ProfileResult.of(off, requests=100, samples=800)
    experiment.on.profile = ProfileResult.of(on, requests=200, samples=900)
    return found


def section(found: LabResult) -> ProfileSection:
    drawn = ProfileSection.of(found.techniques["compression"])
    assert drawn is not None
    return drawn


def test_a_box_is_as_wide_as_its_share_and_below_its_caller() -> None:
    root = Call.tree([(("a", "b"), 3.0), (("a", "c"), 1.0), (("d",), 4.0)])
    drawn = {box.call.name: (box.x, box.width, box.depth) for box in boxes(root, x=0, scale=WIDTH / 8)}
    assert drawn == {
        "all": (0, WIDTH, 0),
        "a": (0, WIDTH / 2, 1),
        "b": (0, WIDTH * 3 / 8, 2),
        "c": (WIDTH * 3 / 8, WIDTH / 8, 2),
        "d": (WIDTH / 2, WIDTH / 2, 1),
    }


def test_boxes_too_narrow_to_see_are_not_drawn() -> None:
    root = Call.tree([(("wide",), 1.0), (("narrow",), 1e-6)])
    assert [box.call.name for box in boxes(root, x=0, scale=WIDTH)] == ["all", "wide"]


def test_a_flame_graph_is_valid_xml_without_references_and_with_the_whole_names() -> None:
    svg = flame_graph(ProfileResult.of(OFF, requests=4, samples=10), variable="--other", description="<off>")
    tree = ET.fromstring(svg)  # noqa: S314 our own text
    titles = [each.text or "" for each in tree.iter("title")]
    assert 'fastapi: <app> & "more": 500 ms, 50.0 %' in titles
    assert "http" not in svg
    assert not [name for each in tree.iter() for name in each.attrib if "href" in name]
    assert svg.count("var(--other)") == 1  # of the function of ours
    assert tree.attrib["viewBox"] == f"0 0 {WIDTH} {3 * ROW}"


def test_labels_fit_their_boxes() -> None:
    stacks: dict[Stack, float] = {("library: " + "long" * 100,): 1.0, ("b: narrow",): 0.02}
    svg = flame_graph(ProfileResult.of(stacks, requests=1, samples=1), variable="--other", description="")
    (label,) = [each.text or "" for each in ET.fromstring(svg).iter("text")]  # noqa: S314 our own text
    assert label.endswith("…")
    assert len(label) * 5 < WIDTH


def test_the_differences_name_the_functions_and_libraries_with_their_times_per_request() -> None:
    technique, functions, libraries = section(profiled()).tables
    assert technique.rows == [[COMPRESS, "0", "15.0 ms"]]
    assert functions.rows == [
        [COMPRESS, "0", "15.0 ms", "+15.0 ms", "0", "15.0 ms"],
        ["aiosqlite: run", "10.0 ms", "0", f"{MINUS}10.0 ms", "10.0 ms", "0"],
        [BOARD, "20.0 ms", "10.0 ms", f"{MINUS}10.0 ms", "20.0 ms", "10.0 ms"],
        ["event loop", "10.0 ms", "5.00 ms", f"{MINUS}5.00 ms", "10.0 ms", "5.00 ms"],
    ]
    assert libraries.rows[0] == ["brotli", "0", "15.0 ms", "+15.0 ms", "0", "15.0 ms"]
    assert len(functions.head) == len(libraries.head) == 6
    assert section(profiled()).sentence == f"The largest difference is in {COMPRESS}: 0 off, 15.0 ms on, per request."


def test_equal_arms_have_no_differences() -> None:
    found = profiled(on={stack: 2 * spent_s for stack, spent_s in OFF.items()})
    assert [table.rows for table in section(found).tables] == [[], [], []]
    assert section(found).sentence == "No function differs by 10 % of the CPU time."


def test_the_report_shows_both_graphs_in_the_colours_of_the_arms_and_needs_nothing_but_itself() -> None:
    text = html(LabResult.model_validate_json(profiled().model_dump_json()))
    page = Outline(text)
    graphs = re.findall(r'<svg [^>]*class="flame".*?</svg>', text)
    assert ["var(--arm-baseline)" in graph for graph in graphs] == [True, False]
    assert ["var(--arm-compression)" in graph for graph in graphs] == [False, True]
    assert "script" not in page.elements
    assert all(reference.startswith("#") for reference in page.references)
    assert page.open == []
    assert "fastapi: &lt;app&gt; &amp;" in text


def test_the_sentence_names_a_large_difference_beside_the_event_loop() -> None:
    waiting = {("event loop",): 9.0, ("event loop", BOARD): 2.0, ("aiosqlite: run",): 2.0}
    assert section(profiled(on=waiting)).sentence.startswith("The largest difference is in departures")
    nearly = {**OFF, ("event loop", COMPRESS): 0.1}
    found = profiled(on={stack: 2 * spent_s for stack, spent_s in nearly.items()})
    assert section(found).sentence == "No function differs by 10 % of the CPU time."


def without(experiment: ExperimentResult, side: str) -> None:
    getattr(experiment, side).profile = None


@pytest.mark.parametrize("side", ["off", "on"])
def test_one_profile_alone_explains_nothing(side: str) -> None:
    found = profiled()
    without(found.techniques["compression"], side)
    assert ProfileSection.of(found.techniques["compression"]) is None
    assert "where the time went" not in html(found)


def test_the_report_says_why_there_is_no_profile() -> None:
    found = result()
    found.techniques["compression"].not_profiled = "py-spy is <missing>"
    assert "The arms were not profiled: py-spy is &lt;missing&gt;." in html(found)
