"""Caching: how much is found, what that saves, and what it costs."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import units
from grafana.board import Board, Section
from grafana.panels.timeseries import time_series
from grafana.query import ARM, query


def dashboard() -> Dashboard:
    """Return the board about caches."""
    return Board(
        uid="flightdeck-caching",
        title="Caching",
        question="How much do the caches find, what does that save, and what does it cost?",
        sections=[
            Section(
                title="",
                panels=[
                    time_series(
                        "Hit ratio",
                        "Share of lookups that found an answer, over all levels.",
                        query(f"arm:cache_hit_ratio:5m{{{ARM}}}", "{{arm}}"),
                        unit=units.SHARE,
                    ),
                ],
            )
        ],
        variables=("datasource", "arm"),
    ).build()
