"""The cache that the settings ask for."""

from collections.abc import Mapping
from importlib.metadata import version

from sqlalchemy import make_url

from service.cache.invalidators import EdgePurger, RedisInvalidator
from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lru import EntryLru
from service.cache.memory import MemoryStore
from service.cache.meter import CacheMeter
from service.cache.null import NullCache
from service.cache.redis.store import RedisStore, Sharing
from service.cache.store import Store
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.settings import Settings


def lasting(settings: Settings, policies: Mapping[str, CachePolicy]) -> dict[str, CachePolicy]:
    """Return the policies with the time to live that the settings give, or else with their own."""
    ttl_s = settings.cache_ttl_s
    return {template: policy.lasting(ttl_s) if ttl_s else policy for template, policy in policies.items()}


def policies_in_use(settings: Settings, policies: Mapping[str, CachePolicy]) -> PolicyTable:
    """Return the policies whose technique is on."""
    return PolicyTable({template: policy for template, policy in policies.items() if settings.uses(policy.technique)})


def cache_for(settings: Settings, *, meter: CacheMeter) -> LayeredCache | NullCache:
    """Return the cache with the levels that are on: `local_cache` in front of `response_cache`, one of them, none.

    Enter it as an asynchronous context while the service runs. Without `REDIS_URL` each process has a cache of its
    own and hears of its own writes only: several processes need Redis, and `response_cache`.
    """
    local = None
    if settings.uses("local_cache"):
        local = EntryLru(level="local", max_bytes=settings.cache_local_max_bytes, meter=meter)
    if settings.uses("response_cache"):
        return LayeredCache(Levels(_shared(settings, meter=meter), local=local, meter=meter))
    if local is not None:
        return LayeredCache(Levels(MemoryStore(local), local=None, meter=meter))
    return NullCache()


def told_others(settings: Settings, cache: LayeredCache | NullCache) -> RedisInvalidator | LayeredCache | NullCache:
    """Return what writes make stale here and, with `REDIS_URL`, in every process on the same data.

    Enter an `RedisInvalidator` as well: a process without `response_cache` keeps nothing in Redis, but it writes.
    """
    if settings.redis_url and not settings.uses("response_cache"):
        return RedisInvalidator(cache, _redis(settings))
    return cache


def told_edge(
    settings: Settings, cache: RedisInvalidator | LayeredCache | NullCache, *, meter: CacheMeter
) -> EdgePurger | RedisInvalidator | LayeredCache | NullCache:
    """Return what writes invalidate: the cache, and with `EDGE_URL` the edge too. Enter a `EdgePurger` as well."""
    return EdgePurger(cache, url=settings.edge_url, meter=meter) if settings.edge_url else cache


def _shared(settings: Settings, *, meter: CacheMeter) -> Store:
    if settings.redis_url:
        return _redis(settings)
    return MemoryStore(EntryLru(level="shared", max_bytes=settings.cache_shared_max_bytes, meter=meter))


def _redis(settings: Settings) -> RedisStore:
    twin = "" if settings.uses("indexes") else "-unindexed"  # other tables, other writes
    return RedisStore(settings.redis_url, Sharing(namespace=f"flightdeck{twin}", variant=_variant(settings)))


def _variant(settings: Settings) -> str:
    """Return what shapes the bytes of an answer: the code, the techniques, the data."""
    database = make_url(settings.database_url).set(password=None).render_as_string()
    return " ".join([version("flightdeck"), database, *sorted(settings.techniques)])
