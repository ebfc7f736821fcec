import pytest

from service.cache.factory import create_cache, create_invalidators, enabled_policies, policies_with_ttl
from service.cache.invalidators import RedisInvalidator
from service.cache.layered import LayeredCache
from service.cache.memory import MemoryStore
from service.cache.invalidators import Invalidators
from service.cache.redis.store import RedisStore
from service.http.cache_model.policy import CachePolicy
from service.middleware import POLICIES as SERVED
from service.settings import ConfigurationError, Settings
from tests.service.conftest import Lookups

pytestmark = pytest.mark.anyio

POLICIES = {
    "/boards": CachePolicy(cache="board", technique="response_cache", ttl_s=60),
    "/airports": CachePolicy(cache="reference", technique="local_cache", ttl_s=60),
}


def settings(*techniques: str, **values: str) -> Settings:
    return Settings.model_validate({"techniques": frozenset(techniques), **values})


@pytest.mark.parametrize(
    ("techniques", "front", "store", "kept"),
    [
        (("response_cache",), "shared", "shared", {"/boards"}),
        (("local_cache",), "local", "local", {"/airports"}),
        (("local_cache", "response_cache"), "local", "shared", {"/boards", "/airports"}),
    ],
)
async def test_the_levels_and_routes_are_those_whose_techniques_are_on(
    techniques: tuple[str, ...], front: str, store: str, kept: set[str], lookups: Lookups
) -> None:
    cache = create_cache(settings(*techniques), meter=lookups)
    assert isinstance(cache, LayeredCache)
    assert cache.levels.in_process is not None
    assert (cache.levels.in_process.level, cache.levels.store.level) == (front, store)
    table = enabled_policies(settings(*techniques), POLICIES)
    assert {path for path in POLICIES if table.match(path)} == kept


async def test_without_caching_techniques_nothing_is_kept(lookups: Lookups) -> None:
    cache = create_cache(settings("pooling"), meter=lookups)
    assert isinstance(cache, Invalidators)
    await cache.invalidate(["flights"])
    assert len(enabled_policies(settings("pooling"), POLICIES)) == 0


async def test_processes_share_entries_only_if_their_answers_are_the_same(lookups: Lookups) -> None:
    keys = set()
    for chosen in (
        settings("response_cache", redis_url="redis://localhost:1"),
        settings("response_cache", "slim_responses", redis_url="redis://localhost:1"),
        settings("response_cache", redis_url="redis://localhost:1", database_url="postgresql+asyncpg://a:b@c/d"),
        settings("response_cache", redis_url="redis://localhost:1", database_url="postgresql+asyncpg://a:x@c/d"),
    ):
        cache = create_cache(chosen, meter=lookups)
        assert isinstance(cache, LayeredCache)
        assert isinstance(cache.levels.store, RedisStore)
        keys.add(cache.levels.store._keys(b"/boards")[0])
    assert len(keys) == 3, "a password shapes no answer"


@pytest.mark.parametrize("techniques", [(), ("local_cache",)])
def test_who_shares_a_redis_tells_it_of_writes_even_without_keeping_anything_there(
    techniques: tuple[str, ...], lookups: Lookups
) -> None:
    alone, beside = settings(*techniques), settings(*techniques, redis_url="redis://localhost:1")
    assert not isinstance(told_others(alone, create_cache(alone, meter=lookups)), RedisInvalidator)
    assert isinstance(told_others(beside, create_cache(beside, meter=lookups)), RedisInvalidator)


async def test_in_one_process_the_store_is_memory(lookups: Lookups) -> None:
    cache = create_cache(settings("response_cache"), meter=lookups)
    assert isinstance(cache, LayeredCache)
    assert isinstance(cache.levels.store, MemoryStore)


def test_an_address_that_is_none_of_redis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "localhost:6379")
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        Settings.from_environ()


def test_answers_are_fresh_for_each_routes_own_time_unless_the_settings_give_one_for_all() -> None:
    assert policies_with_ttl(settings(), POLICIES) == POLICIES
    assert {policy.ttl_s for policy in policies_with_ttl(settings(cache_ttl_s="2.5"), POLICIES).values()} == {2.5}


def test_the_longest_time_to_live_that_is_allowed_is_one_that_every_route_can_have() -> None:
    longest = policies_with_ttl(settings(cache_ttl_s="43200"), SERVED)
    assert all(policy.ttl_s == 43_200 for policy in longest.values())
