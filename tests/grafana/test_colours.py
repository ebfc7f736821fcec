import re
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from grafana import colours
from grafana.panels.colour import COLOURS, colours_for, pattern
from service.techniques import ARMS

Colour = NDArray[np.float64]

# Machado, Oliveira and Fernandes (2009), severity 1: what people without one kind of cone see, in linear RGB.
SIGHTS = {
    "usual": np.eye(3),
    "deuteranopia": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protanopia": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "tritanopia": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}
# Ottosson (2020): linear RGB to cones, cones to a space in which distances are what eyes see.
CONES = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
OKLAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
DISTINCT = 0.08
"""Distance from which on two lines are distinguished at a glance."""


def linear(text: str) -> Colour:
    parts = np.array([int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def luminance(text: str) -> float:
    return float(linear(text) @ np.array([0.2126, 0.7152, 0.0722]))


def seen(text: str, sight: Colour) -> Colour:
    result: Colour = OKLAB @ np.cbrt(CONES @ np.clip(sight @ linear(text), 0, 1))
    return result


def test_every_arm_has_a_colour_of_its_own() -> None:
    assert list(colours.ARMS) == list(ARMS)
    assert len(set(colours.ARMS.values())) == len(ARMS)


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_arms_are_distinguished(sight: str) -> None:
    for (one, this), (other, that) in combinations(colours.ARMS.items(), 2):
        distance = np.linalg.norm(seen(this, SIGHTS[sight]) - seen(that, SIGHTS[sight]))
        assert distance >= DISTINCT, f"{one} and {other}"


@pytest.mark.parametrize("ground", ["#ffffff", "#181b1f"], ids=["light", "dark"])
def test_every_arm_stands_out_on_the_ground(ground: str) -> None:
    for arm, colour in colours.ARMS.items():
        darker, lighter = sorted((luminance(colour), luminance(ground)))
        assert (lighter + 0.05) / (darker + 0.05) >= 2.9, arm


def test_no_colour_of_an_arm_means_something_else() -> None:
    others = {
        name: colour
        for meanings in COLOURS.values()
        if meanings is not colours.ARMS
        for name, colour in meanings.items()
    }
    same = {name for name, colour in others.items() if colour in colours.ARMS.values()}
    assert same == {"identity"}, "what is not compressed looks like the arm that compresses nothing; nothing else does"


def test_no_name_has_two_colours() -> None:
    kinds = {id(meanings): meanings for meanings in COLOURS.values()}.values()
    names = [name for meanings in kinds for name in meanings]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("legend", "is_meant"),
    [("baseline", True), ("baseline size", True), ("baseline2", False), ("the baseline", False)],
)
def test_a_series_has_the_colour_of_the_name_that_it_begins_with(legend: str, is_meant: bool) -> None:
    assert bool(re.search(pattern("baseline").strip("/"), legend)) == is_meant


@pytest.mark.parametrize(
    ("legend", "names"),
    [
        ("{{arm}}", colours.ARMS),
        ("{{arm}} size", colours.ARMS),
        ("{{handler}}", {}),
        ("error", {"error": colours.RESULTS["error"]}),
        ("purged", {}),
    ],
)
def test_a_panel_knows_the_colours_that_it_needs(legend: str, names: dict[str, str]) -> None:
    assert colours_for([legend]) == names
