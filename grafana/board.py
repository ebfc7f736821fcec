"""A dashboard: its uid, question and rows, with the links, variables and annotations that every one has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery, AnnotationTarget, Row
from grafana_foundation_sdk.builders.dashboard import Dashboard as Builder
from grafana_foundation_sdk.cog.builder import Builder as PanelBuilder
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardCursorSync, DataSourceRef, Panel

from grafana.colours import BAD, QUIET
from grafana.links import START, board_link, board_menu
from grafana.query import SOURCE
from grafana.variables import VARIABLES
from prometheus.slo import Objectives

TAG: Final = "flightdeck"
"""The menu of boards lists the boards with this tag."""
EVERY_BOARD: Final = ("datasource", "arm", "handler", "window")


@dataclass(frozen=True, kw_only=True)
class Section:
    """Panels under one heading, from left to right, 24 columns to a row."""

    title: str
    panels: Sequence[PanelBuilder[Panel]]
    collapsed: bool = False


@dataclass(frozen=True, kw_only=True)
class Board:
    uid: str
    """Stable: alerts, links and bookmarks use it."""
    title: str
    question: str
    sections: Sequence[Section]
    """A section without a title is at the top, without a heading."""
    variables: Sequence[str] = EVERY_BOARD

    def build(self, objectives: Objectives) -> Dashboard:
        builder = (
            Builder(self.title)
            .uid(self.uid)
            .description(self.question)
            .tags([TAG])
            .timezone("browser")
            .time("now-30m", "now")
            .refresh("10s")
            .readonly()
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .links([board_link(START, "Start here"), board_menu(TAG)])
            .variables([VARIABLES[name](objectives) for name in self.variables])
            .annotations([_experiments(), _firing_alerts(has_arms="arm" in self.variables)])
        )
        for section in self.sections:
            _place(builder, section)
        dashboard = builder.build()
        for number, panel in enumerate(_panels(dashboard), start=1):
            panel.id_val = number
        return dashboard


def _place(builder: Builder, section: Section) -> None:
    if section.collapsed:
        row = Row(section.title).collapsed(True)
        for panel in section.panels:
            row.with_panel(panel)
        builder.with_row(row)
        return
    if section.title:
        builder.with_row(Row(section.title))
    for panel in section.panels:
        builder.with_panel(panel)


def _panels(dashboard: Dashboard) -> list[Panel]:
    panels: list[Panel] = []
    for one in dashboard.panels or []:
        panels.append(one)  # type: ignore[arg-type]  # rows have an id too
        panels.extend(getattr(one, "panels", None) or [])
    return panels


def _experiments() -> AnnotationQuery:
    """Return the time ranges of the lab's experiments, which it writes to Grafana with these tags."""
    return (
        AnnotationQuery()
        .name("Lab experiments")
        .datasource(DataSourceRef(type_val="grafana", uid="-- Grafana --"))
        .target(AnnotationTarget().type("tags").tags([TAG, "lab"]).match_any(False).limit(100))
        .enable(True)
        .icon_color(QUIET)
    )


def _firing_alerts(*, has_arms: bool) -> AnnotationQuery:
    """Return the firing alerts of the chosen arms, and those without an arm."""
    matchers = 'alertstate="firing", severity!="none"' + (', arm=~"$arm|"' if has_arms else "")
    return (
        AnnotationQuery()
        .name("Firing alerts")
        .datasource(SOURCE)
        .expr(f"ALERTS{{{matchers}}}")
        .enable(True)
        .icon_color(BAD)
    )
