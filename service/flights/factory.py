"""How flights are read and written with the techniques that the settings switch on."""

from prometheus_client import CollectorRegistry

from service.api.authorisation import WriteToken
from service.api.rate_limit import RateLimit, RateLimiter
from service.cache.invalidators import Invalidator
from service.core.quota import Quota
from service.database import Database
from service.flights.audit import Outbox
from service.flights.columns import AllColumns, Columns, SelectedColumns
from service.flights.outbox import AfterResponse, BeforeResponse, OutboxRelay
from service.flights.pages import AllRows, KeysetPages
from service.flights.redis_subscribers import RedisSubscribers
from service.flights.routes import FlightLists, FlightWrites
from service.flights.subscribers import LocalSubscribers, Subscribers
from service.flights.updates import StatusUpdates
from service.settings import Settings


def columns_for(settings: Settings) -> Columns:
    """Return which columns lists and boards read."""
    return SelectedColumns() if settings.uses("deferred_columns") else AllColumns()


def lists_for(settings: Settings) -> FlightLists:
    """Return how the flight list is read."""
    pages = KeysetPages() if settings.uses("pagination") else AllRows()
    return FlightLists(columns=columns_for(settings), pages=pages)


def subscribers_for(settings: Settings, local: LocalSubscribers) -> LocalSubscribers | RedisSubscribers:
    """Return whom a status update tells: the subscribers of this process, or through Redis those of every process."""
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
    """Return how status updates are written, and what follows them."""
    return FlightWrites(
        token=WriteToken(settings.write_token, previous=settings.write_token_previous),
        rate_limit=RateLimit(limiter, Quota.parse(settings.write_rate_limit, policy="writes")),
        updates=StatusUpdates(database, cache=cache),
        relay=OutboxRelay(Outbox(database), subscribers, registry=registry),
        timing=AfterResponse() if settings.uses("background_tasks") else BeforeResponse(),
    )
