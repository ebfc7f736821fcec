import pytest

from service.cache.factory import create_cache, create_invalidators, enabled_policies, policies_with_ttl
from service.cache.invalidators import RedisInvalidator
from service.cache.layered import LayeredCache
from service.cache.memory import MemoryStore
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
async def test_the_levels_and_routes_are_those_of_the_enabled_techniques(
    techniques: tuple[str, ...], front: str, store: str, kept: set[str], lookups: Lookups
) -> None:
    cache = create_cache(settings(*techniques), meter=lookups)
    assert isinstance(cache, LayeredCache)
    assert cache.levels.in_process is not None
    assert (cache.levels.in_process.level, cache.levels.store.level) == (front, store)
    table = enabled_policies(settings(*techniques), POLICIES)
    assert {path for path in POLICIES if table.match(path)} == kept


async def test_without_caching_techniques_there_is_no_cache(lookups: Lookups) -> None:
    cache = create_cache(settings("pooling"), meter=lookups)
    assert cache is None
    async with create_invalidators(settings("pooling"), cache, meter=lookups) as invalidators:
        await invalidators.invalidate(["flights"])
    assert len(enabled_policies(settings("pooling"), POLICIES)) == 0


async def test_processes_share_entries_only_if_their_responses_are_the_same(lookups: Lookups) -> None:
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
    assert len(keys) == 3, "responses do not depend on a password"


@pytest.mark.parametrize("techniques", [(), ("local_cache",)])
async def test_writes_invalidate_in_redis_even_in_a_process_that_stores_nothing_there(
    techniques: tuple[str, ...], lookups: Lookups
) -> None:
    def kinds(chosen: Settings) -> set[type]:
        return {
            type(one) for one in create_invalidators(chosen, create_cache(chosen, meter=lookups), meter=lookups).all
        }

    alone, beside = settings(*techniques), settings(*techniques, redis_url="redis://localhost:1")
    assert RedisInvalidator not in kinds(alone)
    assert RedisInvalidator in kinds(beside)


async def test_in_one_process_the_store_is_memory(lookups: Lookups) -> None:
    cache = create_cache(settings("response_cache"), meter=lookups)
    assert isinstance(cache, LayeredCache)
    assert isinstance(cache.levels.store, MemoryStore)


def test_an_invalid_redis_url_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "localhost:6379")
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        Settings.from_environ()


def test_the_time_to_live_is_that_of_the_route_unless_a_setting_overrides_it() -> None:
    assert policies_with_ttl(settings(), POLICIES) == POLICIES
    assert {policy.ttl_s for policy in policies_with_ttl(settings(cache_ttl_s="2.5"), POLICIES).values()} == {2.5}


def test_the_longest_ttl_setting_is_valid_for_every_route() -> None:
    longest = policies_with_ttl(settings(cache_ttl_s="43200"), SERVED)
    assert all(policy.ttl_s == 43_200 for policy in longest.values())
