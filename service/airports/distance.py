"""Distances on the globe."""

from math import asin, cos, radians, sin, sqrt

EARTH_RADIUS_MI = 3958.7613
"""The mean radius (IUGG) in statute miles."""


def great_circle_mi(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the distance in statute miles, by the haversine formula; the angles are in degrees."""
    phi, other_phi = radians(latitude), radians(other_latitude)
    across = sin((other_phi - phi) / 2) ** 2
    along = cos(phi) * cos(other_phi) * sin(radians(other_longitude - longitude) / 2) ** 2
    return 2 * EARTH_RADIUS_MI * asin(min(1.0, sqrt(across + along)))
