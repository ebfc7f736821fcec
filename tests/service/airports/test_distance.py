import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.airports.distance import EARTH_RADIUS_MI, great_circle_mi

places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def test_known_distances() -> None:
    # Great Circle Mapper gives 2475 mi on the ellipsoid; a sphere is within half a per cent of it.
    assert great_circle_mi(40.639751, -73.778925, 33.942536, -118.408075) == pytest.approx(2475, rel=0.005)
    assert great_circle_mi(0, 0, 0, 90) == pytest.approx(EARTH_RADIUS_MI * math.pi / 2)


@given(a=places, b=places)
def test_a_distance_is_symmetric_and_at_most_half_the_circumference(
    a: tuple[float, float], b: tuple[float, float]
) -> None:
    there, back = great_circle_mi(*a, *b), great_circle_mi(*b, *a)

    assert there == pytest.approx(back, abs=1e-6)
    assert 0 <= there <= EARTH_RADIUS_MI * math.pi * (1 + 1e-12)


@given(place=places)
def test_the_antipode_is_half_the_circumference_away(place: tuple[float, float]) -> None:
    latitude, longitude = place

    assert great_circle_mi(latitude, longitude, -latitude, longitude + 180) == pytest.approx(
        EARTH_RADIUS_MI * math.pi, rel=1e-6
    )
