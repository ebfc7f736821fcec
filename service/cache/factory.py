"""The cache and the invalidators for the settings."""

from collections.abc import Mapping

from sqlalchemy import make_url

from service import __version__
from service.cache.invalidators import EdgePurger, Invalidator, Invalidators, RedisInvalidator
from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lru import CacheMeter, EntryLru
from service.cache.memory import MemoryStore
from service.cache.redis.store import RedisStore, RedisStoreOptions
from service.cache.store import Store
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.settings import Settings


def policies_with_ttl(settings: Settings, policies: Mapping[str, CachePolicy]) -> dict[str, CachePolicy]:
    """Return the policies with `CACHE_TTL_S`, if that is set."""
    ttl_s = settings.cache_ttl_s
    return {template: policy.with_ttl(ttl_s) if ttl_s else policy for template, policy in policies.items()}


def enabled_policies(settings: Settings, policies: Mapping[str, CachePolicy]) -> PolicyTable:
    """Return the policies whose technique is on."""
    return PolicyTable({template: policy for template, policy in policies.items() if settings.uses(policy.technique)})


def create_cache(settings: Settings, *, meter: CacheMeter) -> LayeredCache | None:
    """Return the cache with the enabled levels: `local_cache` in front of `response_cache`, one of them, or no cache.

    Without `REDIS_URL` each process has its own cache and sees its own invalidations only: several processes need
    Redis and `response_cache`.
    """
    local = None
    if settings.uses("local_cache"):
        local = EntryLru(level="local", max_bytes=settings.cache_local_max_bytes, meter=meter)
    if settings.uses("response_cache"):
        return LayeredCache(Levels(_shared_store(settings, meter=meter), local=local, meter=meter))
    if local is not None:
        return LayeredCache(Levels(MemoryStore(local), local=None, meter=meter))
    return None


def create_invalidators(settings: Settings, cache: LayeredCache | None, *, meter: CacheMeter) -> Invalidators:
    """Return what writes invalidate: the cache, with `REDIS_URL` other processes, with `EDGE_URL` the edge."""
    invalidators: list[Invalidator] = []
    if cache is not None:
        invalidators.append(cache)
    if settings.redis_url and not settings.uses("response_cache"):  # with it, the cache publishes
        invalidators.append(RedisInvalidator(_redis_store(settings)))
    if settings.edge_url:
        invalidators.append(EdgePurger(url=settings.edge_url, meter=meter))
    return Invalidators(*invalidators)


def _shared_store(settings: Settings, *, meter: CacheMeter) -> Store:
    if settings.redis_url:
        return _redis_store(settings)
    return MemoryStore(EntryLru(level="shared", max_bytes=settings.cache_shared_max_bytes, meter=meter))


def _redis_store(settings: Settings) -> RedisStore:
    twin = "" if settings.uses("indexes") else "-unindexed"  # another database has other writes
    # What the bytes of a response depend on: the code, the database, the techniques.
    database = make_url(settings.database_url).set(password=None).render_as_string()
    variant = " ".join([__version__, database, *sorted(settings.techniques)])
    return RedisStore(settings.redis_url, RedisStoreOptions(namespace=f"flightdeck{twin}", variant=variant))
