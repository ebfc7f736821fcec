"""Text in a panel: what a number means, or where to go next."""

from grafana_foundation_sdk.builders.text import Panel
from grafana_foundation_sdk.models.text import TextMode


def text(title: str, description: str, markdown: str) -> Panel:
    """Return a panel of Markdown."""
    return Panel().title(title).description(description).mode(TextMode.MARKDOWN).content(markdown).height(4).span(6)
