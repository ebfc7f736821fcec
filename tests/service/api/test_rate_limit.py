"""Quotas: counted in the process, or for all processes in Redis, also while Redis is down."""

import logging
from typing import Self

import pytest
from prometheus_client import CollectorRegistry

from service.api.rate_limit import RateLimiter
from service.core.quota import Quota
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.anyio


def quota(text: str, policy: str = "writes") -> Quota:
    parsed = Quota.parse(text, policy=policy)
    assert parsed is not None
    return parsed


class World:
    """A limiter and its metric."""

    def __init__(self, redis_url: str) -> None:
        self.registry = CollectorRegistry()
        self.limiter = RateLimiter(redis_url, registry=self.registry, clock=lambda: 0.0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.limiter.aclose()

    def counted(self, level: str, outcome: str) -> float:
        labels = {"policy": "writes", "level": level, "outcome": outcome}
        return self.registry.get_sample_value("rate_limit_requests_total", labels) or 0.0


@pytest.fixture(params=["process", "redis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("own_redis").url if request.param == "redis" else ""
    return url


async def test_the_remaining_quota_counts_down_to_a_rejection(redis_url: str) -> None:
    async with World(redis_url) as world:
        results = [await world.limiter.hit(quota("3/hour"), "me") for _ in range(4)]

    assert [one.is_allowed for one in results] == [True, True, True, False]
    assert [one.remaining for one in results] == [2, 1, 0, 0]
    assert all(1 <= one.reset_s <= 3600 for one in results)
    assert results[0].headers["RateLimit-Policy"] == '"writes";q=3;w=3600'
    assert results[0].headers["RateLimit"].startswith('"writes";r=2;t=')
    level = "shared" if redis_url else "local"
    assert (world.counted(level, "allowed"), world.counted(level, "rejected")) == (3, 1)


async def test_owners_and_policies_have_quotas_of_their_own(redis_url: str) -> None:
    async with World(redis_url) as world:
        granted = [
            (await world.limiter.hit(quota("1/hour", policy), owner)).is_allowed
            for policy in ("writes", "exports")
            for owner in ("me", "you")
        ]
    assert granted == [True] * 4


async def test_processes_share_a_quota_in_redis(own_redis: RedisServer) -> None:
    async with World(own_redis.url) as first, World(own_redis.url) as second:
        worlds = (first, second, first, second)
        granted = [(await world.limiter.hit(quota("2/hour"), "me")).is_allowed for world in worlds]

    assert granted == [True, True, False, False]


@pytest.mark.parametrize("how", ["dead", "hanging"])
async def test_without_redis_each_process_counts_and_only_one_write_waits_for_it(
    own_redis: RedisServer, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.api.rate_limit.RESPONSE_TIMEOUT_S", 1.0)
    async with World(own_redis.url) as world:
        await world.limiter.hit(quota("3/hour"), "me")
        own_redis.stop() if how == "dead" else own_redis.freeze()
        with caplog.at_level(logging.WARNING, "service.api.rate_limit"):
            results = [await world.limiter.hit(quota("3/hour"), "me") for _ in range(4)]
        own_redis.start() if how == "dead" else own_redis.thaw()

    assert [one.is_allowed for one in results] == [True, True, True, False]
    assert [record.message[:13] for record in caplog.records] == ["Redis is down"], "one wait for Redis, not four"
    assert world.counted("local", "allowed") == 3


@pytest.mark.parametrize("text", ["many", "10", "10/fortnight", "-1/second", "0/second", ""])
def test_an_invalid_rate_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate|granularity|no request"):
        Quota.parse(text, policy="writes")


def test_the_rate_none_is_no_limit() -> None:
    assert Quota.parse("none", policy="writes") is None
