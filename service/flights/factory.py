"""How flights are read and written with the techniques that the settings switch on."""

from prometheus_client import CollectorRegistry

from service.api.authorisation import WriteToken
from service.api.rate_limit import RateLimit, RateLimiter
from service.cache.invalidators import Invalidator
from service.core.quota import Quota
from service.database import Database
from service.flights.audit import Outbox
from service.flights.columns import AnsweredColumns, Columns, EveryColumn
from service.flights.outbox import AfterResponse, BeforeResponse, FollowUp
from service.flights.pages import AllRows, KeysetPages
from service.flights.redis_subscribers import SharedWatchers
from service.flights.routes import FlightLists, FlightWrites
from service.flights.subscribers import LocalWatchers, Watchers
from service.flights.updates import StatusUpdates
from service.settings import Settings


def columns_of(settings: Settings) -> Columns:
    """Return which columns lists and boards read."""
    return AnsweredColumns() if settings.uses("deferred_columns") else EveryColumn()


def lists_of(settings: Settings) -> FlightLists:
    """Return how the flight list is read."""
    pages = KeysetPages() if settings.uses("pagination") else AllRows()
    return FlightLists(columns=columns_of(settings), pages=pages)


def watchers_of(settings: Settings, local: LocalWatchers) -> LocalWatchers | SharedWatchers:
    """Return whom a status update tells: the watchers of this process, or through Redis those of every process."""
    if not settings.redis_url:
        return local
    twin = "" if settings.uses("indexes") else ":unindexed"
    return SharedWatchers(settings.redis_url, local, channel=f"flightdeck:flights{twin}")


def writes_of(
    settings: Settings,
    database: Database,
    *,
    cache: Invalidator,
    watchers: Watchers,
    limiter: RateLimiter,
    registry: CollectorRegistry,
) -> FlightWrites:
    """Return how status updates are written, and what follows them."""
    return FlightWrites(
        token=WriteToken(settings.write_token, previous=settings.write_token_previous),
        rate_limit=RateLimit(limiter, Quota.parse(settings.write_rate_limit, policy="writes")),
        updates=StatusUpdates(database, cache=cache),
        follow_up=FollowUp(Outbox(database), watchers, registry=registry),
        timing=AfterResponse() if settings.uses("background_tasks") else BeforeResponse(),
    )
