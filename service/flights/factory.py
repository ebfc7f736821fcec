"""How flights are read and written, by the techniques that the settings switch on."""

from typing import Final

from prometheus_client import CollectorRegistry
from sqlalchemy.orm import load_only
from sqlalchemy.orm.interfaces import ORMOption

from service.api.authorisation import WriteToken
from service.api.rate_limit import RateLimit, RateLimiter
from service.cache.invalidators import Invalidator
from service.core.models import Flight
from service.core.quota import Quota
from service.database import Database
from service.flights.background import AfterResponse, BeforeResponse
from service.flights.outbox import Outbox, OutboxRelay
from service.flights.pages import AllRows, KeysetPages, Pages
from service.flights.redis_subscribers import RedisSubscribers
from service.flights.routes import FlightWrites
from service.flights.schemas import FIELDS
from service.flights.subscribers import LocalSubscribers, Subscribers
from service.flights.updates import StatusUpdates
from service.settings import Settings

SELECTED_COLUMNS: Final = load_only(*(getattr(Flight, name) for name in FIELDS), raiseload=True)
"""Loads the columns of responses and what relationships join on; reading another one later raises."""


def columns_for(settings: Settings) -> tuple[ORMOption, ...]:
    """Return the options of a `select(Flight)` that choose its columns; the ORM's default is the whole row."""
    return (SELECTED_COLUMNS,) if settings.uses("deferred_columns") else ()


def pages_for(settings: Settings) -> Pages:
    """Return how the flight list is read."""
    return KeysetPages() if settings.uses("pagination") else AllRows()


def subscribers_for(settings: Settings, local: LocalSubscribers) -> LocalSubscribers | RedisSubscribers:
    """Return the subscribers to notify: those of this process, or with Redis those of every process."""
    if not settings.redis_url:
        return local
    twin = "" if settings.uses("indexes") else ":unindexed"
    return RedisSubscribers(settings.redis_url, local, channel=f"flightdeck:flights{twin}")


def writes_for(
    settings: Settings,
    database: Database,
    *,
    cache: Invalidator,
    subscribers: Subscribers,
    limiter: RateLimiter,
    registry: CollectorRegistry,
) -> FlightWrites:
    """Return how status updates are written, and how their subscribers are notified."""
    return FlightWrites(
        token=WriteToken(settings.write_token, previous=settings.write_token_previous),
        rate_limit=RateLimit(limiter, Quota.parse(settings.write_rate_limit, policy="writes")),
        updates=StatusUpdates(database, cache=cache),
        relay=OutboxRelay(Outbox(database), subscribers, registry=registry),
        timing=AfterResponse() if settings.uses("background_tasks") else BeforeResponse(),
    )
