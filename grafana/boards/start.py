"""Start here: what each technique buys, at one look, and where to go on."""

from grafana_foundation_sdk.builders.text import Panel
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.board import Board, Section
from grafana.links import START
from grafana.panels.text import text
from service.techniques import ARMS


def dashboard() -> Dashboard:
    """Return the home dashboard."""
    return Board(
        uid=START,
        title="Start here",
        question="Which technique matters, by how much, and where can I see why?",
        sections=[Section(title="", panels=[_arms()])],
        variables=("datasource",),
    ).build()


def _arms() -> Panel:
    lines = [f"**{arm}** {', '.join(sorted(techniques)) or 'none'}" for arm, techniques in ARMS.items()]
    return text("The arms", "Which techniques each arm has; all get the same traffic.", "\n\n".join(lines)).span(24)
