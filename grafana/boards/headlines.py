"""The three headline effects: a big number each, and the sentence that explains it."""

from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from grafana import units
from grafana.colours import ARMS
from grafana.panels.stat import headline
from grafana.panels.text import text
from grafana.query import instant


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One effect: of which arm, how much, and what that means."""

    arm: str
    title: str
    number: Dataquery
    unit: str
    description: str
    claim: str
    price: str


def _handler_effect(name: str, arm: str, handler: str) -> Dataquery:
    return instant(f'max(handler_effect:{name}:ratio{{arm="{arm}", handler="{handler}"}})', arm)


HEADLINES: Final = (
    Headline(
        arm="caching",
        title="Caching",
        number=instant('max(effect:latency_p50_seconds:ratio{arm="caching"})', "caching"),
        unit=units.FACTOR,
        description="Median time of all requests on baseline, divided by the same on the arm with caches. Above 1 is "
        "faster. It grows as the caches fill. Times below the histogram's smallest bucket are taken as larger than "
        "they are: it is no less.",
        claim="Half of all requests are answered this much sooner: what is found is not computed.",
        price="answers may be a little old, and take memory.",
    ),
    Headline(
        arm="pooling",
        title="Connection pooling",
        number=instant(
            '1 - max(arm:connects_per_request:5m{arm="pooling"}) / max(arm:connects_per_request:5m{arm="baseline"})',
            "pooling",
        ),
        unit=units.SHARE,
        description="Share of the connects per request on baseline that the arm with a pool does without. 100 % is all "
        "of them.",
        claim="Of all connects are gone: requests find a connection open.",
        price="connections are held, and may be waited for.",
    ),
    Headline(
        arm="compression",
        title="Compression",
        number=_handler_effect("response_bytes_per_request", "compression", "/airports/{faa}/departures"),
        unit=units.FACTOR,
        description="Bytes of a departure board on baseline, divided by the same on the arm that compresses. Above 1 "
        "is smaller.",
        claim="Boards are this much smaller on the wire.",
        price="CPU, which very fast links do not pay back.",
    ),
)


def headlines() -> list[Builder[Panel]]:
    """Return the three numbers, each with its sentence beside it."""
    return [panel for one in HEADLINES for panel in _panels(one)]


def _panels(one: Headline) -> list[Builder[Panel]]:
    uid = f"flightdeck-{one.arm}"
    sentence = f"#### {one.claim}\n\nThe price: {one.price} [Look closer](/d/{uid})"
    return [
        headline(one.title, one.description, one.number, unit=one.unit, colour=ARMS[one.arm]).span(4).height(5),
        text("", one.description, sentence).transparent(True).span(4).height(5),
    ]
