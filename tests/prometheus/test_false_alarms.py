"""Half an hour of normal traffic, one release in it, on both clocks: nothing may fire."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from prometheus.effects import HIT_RATIO_WINDOW
from prometheus.generated import ROOT
from service.techniques import ARMS
from tests.prometheus.everyday import arms_of, everyday
from tests.prometheus.normal_traffic import Series, Service, monitoring

pytestmark = pytest.mark.timeout(400)  # promtool computes for ten seconds on an idle machine
CLOCKS = {"prometheus": 15, "prometheus/accelerated": 1}
FIRED = 'count by (alertname) (count_over_time(ALERTS{alertstate="firing", alertname!="Watchdog"}[30m]))'
COLLAPSED = 'count_over_time(ALERTS{alertname="CacheHitRatioCollapsed"}[3h])'
THREE_HOURS_S = 3 * 3600
CASES = (("prometheus", 1), ("prometheus", 2), ("prometheus/accelerated", 3))


def written(directory: Path, folder: str, *, seed: int, **trouble: float) -> Path:
    """Write the test of a service whose noise is made up; `trouble` is what ails it."""
    scrape_s = CLOCKS[folder]
    service = Service(np.random.default_rng(seed), scrape_s, **trouble)  # type: ignore[arg-type]  # ratios
    without_techniques = Service(
        np.random.default_rng(seed), scrape_s, job="comparison", arm="baseline", error_ratio=0.05, slow_ratio=0.5
    )
    every = [*service.series(), *without_techniques.series(), *monitoring(scrape_s)]
    return silent(directory, folder, every)


def silent(directory: Path, folder: str, every: Sequence[Series]) -> Path:
    """Write the test that these series make nothing fire."""
    scrape_s = CLOCKS[folder]
    document = {
        "rule_files": [str(path) for kind in ("rules", "alerts") for path in (ROOT / folder / kind).glob("*.yml")],
        "evaluation_interval": f"{max(scrape_s, 5)}s",
        "tests": [
            {
                "interval": f"{scrape_s}s",
                "input_series": [{"series": one.series, "values": one.values} for one in every],
                "promql_expr_test": [{"expr": FIRED, "eval_time": "30m", "exp_samples": []}],
            }
        ],
    }
    path = directory / "normal.yml"
    path.write_text(json.dumps(document), "utf-8")  # which is YAML too, and quicker to write
    return path


@pytest.mark.parametrize(("folder", "seed"), CASES)
def test_normal_traffic_fires_nothing(promtool: Callable[..., str], tmp_path: Path, folder: str, seed: int) -> None:
    assert "SUCCESS" in promtool("test", "rules", written(tmp_path, folder, seed=seed))


def test_the_same_traffic_with_one_failure_in_twenty_does_fire(promtool: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="AvailabilityBudgetBurn"):
        promtool("test", "rules", written(tmp_path, "prometheus", seed=1, error_ratio=0.05))


@pytest.mark.parametrize("seed", [1, 2])
def test_what_five_arms_say_under_everyday_traffic_fires_nothing(
    promtool: Callable[..., str], tmp_path: Path, seed: int
) -> None:
    series = list(everyday(seed=seed))
    assert arms_of(series) == set(ARMS)
    every = [
        *series,
        *(one for one in monitoring(CLOCKS["prometheus"]) if "prometheus" in one.series or "alertm" in one.series),
    ]
    assert "SUCCESS" in promtool("test", "rules", silent(tmp_path, "prometheus", every))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_hit_ratios_of_everyday_traffic_are_not_even_pending(
    promtool: Callable[..., str], tmp_path: Path, seed: int
) -> None:
    caches = [
        one
        for one in everyday(seed=seed, seconds=THREE_HOURS_S)
        if one.series.startswith("cache_requests_total") and 'job="service"' in one.series
    ]
    levels = f'count(cache:hits:ratio_rate{HIT_RATIO_WINDOW}{{job="service"}} offset {HIT_RATIO_WINDOW})'
    document = {
        "rule_files": [str(ROOT / "prometheus" / name) for name in ("rules/effects.yml", "alerts/cache.yml")],
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": one.series, "values": one.values} for one in caches],
                "promql_expr_test": [
                    {"expr": COLLAPSED, "eval_time": "3h", "exp_samples": []},
                    {"expr": levels, "eval_time": "3h", "exp_samples": [{"labels": "{}", "value": 6}]},
                ],
            }
        ],
        "evaluation_interval": "15s",
    }
    path = tmp_path / "caches.yml"
    path.write_text(json.dumps(document), "utf-8")
    assert "SUCCESS" in promtool("test", "rules", path)


def test_the_same_with_the_slow_arm_as_the_service_with_objectives_does_fire(
    promtool: Callable[..., str], tmp_path: Path
) -> None:
    swapped = [
        Series(one.series.replace('job="comparison"', 'job="service"'), one.values)
        for one in everyday(seed=1)
        if 'arm="baseline"' in one.series
    ]
    with pytest.raises(pytest.fail.Exception, match="NPlusOneQueries"):
        promtool("test", "rules", silent(tmp_path, "prometheus", swapped))
