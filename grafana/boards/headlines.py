"""The three headline effects: a sentence with its numbers, and the cost of the technique."""

from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from grafana.colours import ARMS
from grafana.panels.stat import headline
from grafana.panels.text import text
from grafana.query import instant

BASELINE: Final = "baseline"


@dataclass(frozen=True, kw_only=True)
class Headline:
    arm: str
    title: str
    sentence: str
    """With `{{effect}}`, `{{before}}` and `{{after}}`."""
    value: str
    """PromQL of the value per arm, as a format string with `{arm}`."""
    step: float
    """`before` and `after` are rounded to multiples of it."""
    effect: str
    """PromQL of the effect, as a format string with `{before}` and `{after}`."""
    description: str
    cost: str

    def expr(self) -> str:
        """Return a series whose labels are the numbers of the sentence: a panel can show them within a text."""
        before, after = (self.value.format(arm=arm) for arm in (BASELINE, self.arm))
        effect = self.effect.format(before=f"({before})", after=f"({after})")
        return (
            f'count_values("before", round({before}, {self.step}))\n'
            f'* on () group_left (after) count_values("after", round({after}, {self.step}))\n'
            f'* on () group_left (effect) count_values("effect", {effect})'
        )


HEADLINES: Final = (
    Headline(
        arm="caching",
        title="Caching",
        sentence="Caching: median response {{effect}}\N{MULTIPLICATION SIGN} faster ({{before}} → {{after}} ms)",
        value='1000 * max(arm:latency_seconds:p50_rate5m{{arm="{arm}"}})',
        step=0.1,
        effect="round({before} / {after}, 0.1)",
        description="Median response time of all requests on baseline and on the arm with caches. The effect grows as "
        "the caches fill. Times below the smallest bucket of the histogram are overestimated, so that the real effect "
        "is at least this one.",
        cost="responses may be slightly stale; the caches use memory.",
    ),
    Headline(
        arm="pooling",
        title="Connection pooling",
        sentence="Connection pooling: {{effect}} % fewer connects ({{before}} → {{after}} per request)",
        value='max(arm:connects_per_request:ratio_rate5m{{arm="{arm}"}})',
        step=0.001,
        effect="round(100 * (1 - {after} / {before}))",
        description="Database connections opened per request on baseline and on the arm with a pool.",
        cost="connections stay open, and a request may wait for one.",
    ),
    Headline(
        arm="compression",
        title="Compression",
        sentence="Compression: departure boards {{effect}}\N{MULTIPLICATION SIGN} smaller ({{before}} → {{after}} kB)",
        value=(
            "max(handler:response_bytes_per_request:ratio_rate5m"
            '{{arm="{arm}", handler="/airports/{{faa}}/departures"}}) / 1e3'
        ),
        step=0.1,
        effect="round({before} / {after}, 0.1)",
        description="Bytes of the average departure board on baseline and on the arm that compresses.",
        cost="CPU; not worth it on very fast links.",
    ),
)


def headlines() -> list[Builder[Panel]]:
    """Return the three sentences, and below each its cost and a link to its board."""
    sentences = [
        headline(one.title, one.description, instant(one.expr(), one.sentence), colour=ARMS[one.arm]).span(8).height(3)
        for one in HEADLINES
    ]
    costs = [
        text("", one.description, f"Cost: {one.cost} [{one.title} in detail](/d/flightdeck-{one.arm})")
        .transparent(True)
        .span(8)
        .height(2)
        for one in HEADLINES
    ]
    return [*sentences, *costs]
