from random import Random

import pytest

from service.http.cache_model.policy import CachePolicy, PolicyTable, application_path


def policy(**changes: float) -> CachePolicy:
    return CachePolicy(cache="board", technique="response_cache", **{"ttl_s": 60.0, **changes})


def test_jitter_only_shortens_and_spreads() -> None:
    random = Random(1)
    lifetimes = [policy(jitter=0.2).lifetime_s(200, random)[0] for _ in range(200)]
    assert 48 <= min(lifetimes) < 49
    assert 59 < max(lifetimes) <= 60


def test_only_200_is_cached_and_404_briefly_if_the_policy_allows_it() -> None:
    random = Random(1)
    kept = policy(stale_s=30, negative_ttl_s=5, jitter=0)
    assert kept.lifetime_s(200, random) == (60, 30)
    assert kept.lifetime_s(404, random) == (5, 0)
    for status in (201, 204, 301, 304, 400, 422, 500, 503):
        assert kept.lifetime_s(status, random) == (0, 0)
    assert policy().lifetime_s(404, random) == (0, 0)


@pytest.mark.parametrize(
    "changes", [{"ttl_s": -1.0}, {"stale_s": -1.0}, {"ttl_s": 90_000.0}, {"jitter": 1.0}, {"jitter": -0.1}]
)
def test_an_invalid_policy_is_rejected(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="board"):
        policy(**changes)


def test_a_template_matches_its_paths_and_no_longer_ones() -> None:
    table = PolicyTable(
        {"/airports/{faa}": policy(), "/airports/{faa}/departures": policy(ttl_s=5), "/by/{id:int}": policy()}
    )
    assert table.match("/airports/JFK") == "/airports/{faa}"
    assert table.match("/airports/JFK/departures") == "/airports/{faa}/departures"
    assert table.match("/by/12") == "/by/{id:int}"
    for path in ("/airports", "/airports/JFK/", "/airports/JFK/nearest", "/by/x", "/x/airports/JFK"):
        assert table.match(path) is None


@pytest.mark.parametrize(
    ("path", "root_path", "expected"),
    [("/a", "", "/a"), ("/api/a", "/api", "/a"), ("/apis", "/api", "/apis"), ("/a", "/api", "/a")],
)
def test_the_prefix_that_the_application_is_mounted_under_is_not_its_path(
    path: str, root_path: str, expected: str
) -> None:
    assert application_path({"path": path, "root_path": root_path}) == expected


def test_another_time_to_live_keeps_staleness_in_proportion_and_nothing_longer_than_itself() -> None:
    short = policy(stale_s=30.0, negative_ttl_s=30.0, browser_s=10.0).with_ttl(5.0)
    assert (short.ttl_s, short.stale_s, short.negative_ttl_s, short.browser_s) == (5.0, 2.5, 5.0, 5.0)
    assert (short.cache, short.technique) == ("board", "response_cache")
    long = policy(stale_s=30.0, negative_ttl_s=30.0, browser_s=10.0).with_ttl(600.0)
    assert (long.ttl_s, long.stale_s, long.negative_ttl_s, long.browser_s) == (600.0, 300.0, 30.0, 10.0)
