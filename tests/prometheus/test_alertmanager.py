"""Which receiver gets which alert, by amtool and by a real Alertmanager."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from lab.receiver.app import create_receiver
from lab.receiver.inbox import Inbox
from prometheus.configuration import ROUTE_TIMINGS
from prometheus.duration import seconds
from prometheus.generated import ROOT
from tests.servers.asgi import serving

CONFIG = ROOT / "prometheus/alertmanager/alertmanager.yml"
TEMPLATES = ROOT / "prometheus/alertmanager/templates/*.tmpl"


ACCELERATED = ROOT / "prometheus/accelerated/alertmanager/alertmanager.yml"


@pytest.mark.parametrize("path", [CONFIG, ACCELERATED], ids=["real", "accelerated"])
def test_alertmanager_accepts_the_configuration(amtool: Callable[..., str], path: Path) -> None:
    assert re.search(r"SUCCESS[\s\S]*1 templates", amtool("check-config", path))


def test_accelerated_routes_differ_only_in_waits() -> None:
    real, accelerated = (yaml.safe_load(path.read_text("utf-8")) for path in (CONFIG, ACCELERATED))
    for document in (real, accelerated):
        document["waits"] = [
            {name: seconds(route.pop(name)) for name in sorted(ROUTE_TIMINGS)}
            for route in (document["route"], *document["route"]["routes"])
            if ROUTE_TIMINGS & route.keys()
        ]
    assert [{name: max(waits[name] // 60, 1) if waits[name] else 0 for name in waits} for waits in real["waits"]] == (
        accelerated["waits"]
    )
    assert {**real, "waits": []} == {**accelerated, "waits": []}


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=critical", "alertname=ServiceDown"], "page"),
        (["severity=warning", "alertname=PoolExhausted"], "ticket"),
        (["severity=none", "alertname=Watchdog"], "heartbeat"),
        (["severity=critical", "alertname=ServiceDown", "drill=service-down"], "drill"),
        (["severity=warning", "alertname=CacheDown", "drill=redis-stopped"], "drill"),
        (["severity=none", "alertname=Watchdog", "drill=redis-stopped"], "heartbeat"),
        (["alertname=ThirdParty"], "ticket"),
    ],
    ids=" ".join,
)
def test_an_alert_reaches_exactly_one_receiver(amtool: Callable[..., str], labels: list[str], receiver: str) -> None:
    said = amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels)
    assert said.split() == [receiver]


def test_a_message_carries_the_links(amtool: Callable[..., str], tmp_path: Path) -> None:
    alert = {
        "status": "firing",
        "labels": {"alertname": "PoolExhausted", "severity": "warning", "owner": "service"},
        "annotations": {
            "summary": "No connection became free",
            "description": "12 requests timed out",
            "runbook_url": "http://localhost:9095/runbooks/pool-exhausted",
            "dashboard_url": "http://localhost:3000/d/flightdeck-pooling",
        },
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://localhost:9090/graph",
        "fingerprint": "1",
    }
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"receiver": "ticket", "status": "firing", "alerts": [alert]}), "utf-8")

    def rendered(template: str) -> str:
        text = f'{{{{ template "{template}" . }}}}'
        return amtool(
            "template", "render", f"--template.glob={TEMPLATES}", f"--template.text={text}", f"--template.data={data}"
        )

    assert rendered("flightdeck.title").strip() == "[FIRING: 1] No connection became free"
    text = rendered("flightdeck.text")
    assert "Runbook: http://localhost:9095/runbooks/pool-exhausted" in text
    assert "Dashboard: http://localhost:3000/d/flightdeck-pooling" in text
    assert "12 requests timed out" in text


ARM = {"job": "service", "arm": "optimized"}
PAGE = ARM | {"severity": "critical"}
TICKET = ARM | {"severity": "warning"}


def burn(sli: str, window: str, group: str = "flights") -> dict[str, str]:
    severity = "critical" if window in {"1h", "6h"} else "warning"
    name = f"{sli.capitalize()}BudgetBurn"
    return ARM | {"alertname": name, "severity": severity, "window": window, "group": group, "slo": f"{group}-{sli}"}


@pytest.mark.parametrize(
    ("firing", "delivered"),
    [
        (
            [PAGE | {"alertname": "ServiceDown"}, burn("availability", "1h"), TICKET | {"alertname": "TargetDown"}],
            {"ServiceDown"},
        ),
        (
            [burn("availability", "1h"), burn("availability", "6h"), burn("availability", "1d"), burn("latency", "1h")],
            {"AvailabilityBudgetBurn 1h"},
        ),
        (
            [burn("latency", "6h"), TICKET | {"alertname": "RouteSlow", "group": "flights", "handler": "/flights"}],
            {"LatencyBudgetBurn 6h"},
        ),
        (
            [
                TICKET | {"alertname": name, "db_client_connection_pool_name": "primary"}
                for name in ("PoolExhausted", "PoolWaitHigh")
            ],
            {"PoolExhausted"},
        ),
        (
            [TICKET | {"alertname": name, "cache": "board"} for name in ("CacheDown", "CacheHitRatioCollapsed")],
            {"CacheDown"},
        ),
        (
            [
                burn("availability", "1h"),
                TICKET | {"alertname": "PoolExhausted", "db_client_connection_pool_name": "primary"},
            ],
            {"AvailabilityBudgetBurn 1h", "PoolExhausted"},
        ),
    ],
    ids=["service down", "one budget", "slow route", "pool", "cache", "a page does not hide its cause"],
)
def test_one_fault_is_one_page(
    alertmanager: Callable[[str], str], tmp_path: Path, firing: list[dict[str, str]], delivered: set[str]
) -> None:
    arrivals = arrived(alertmanager, tmp_path, firing)
    alerts = [alert for arrival in arrivals for alert in arrival["alerts"]]
    seen = {f"{one['labels']['alertname']} {one['labels'].get('window', '')}".strip() for one in alerts}
    assert seen == delivered


def test_pages_of_one_arm_arrive_together(alertmanager: Callable[[str], str], tmp_path: Path) -> None:
    groups = [burn("availability", "1h", group) for group in ("flights", "boards", "reports")]
    arrivals = arrived(alertmanager, tmp_path, groups)
    assert [len(arrival["alerts"]) for arrival in arrivals] == [3]


def arrived(
    alertmanager: Callable[[str], str], tmp_path: Path, firing: list[dict[str, str]]
) -> list[dict[str, list[dict[str, dict[str, str]]]]]:
    """Post the alerts to a real Alertmanager and return what its receiver got, once everything was sent."""
    with serving(create_receiver(Inbox(), runbooks=tmp_path)) as receiver:
        text = CONFIG.read_text("utf-8").replace("http://receiver:9095", receiver)
        text = re.sub(r"group_wait: [1-9]\d*s", "group_wait: 1s", text).replace("templates/*.tmpl", str(TEMPLATES))
        url = alertmanager(text)
        sentinel = TICKET | {"alertname": "Sentinel", "arm": "another"}
        httpx.post(
            f"{url}/api/v2/alerts", json=[{"labels": labels} for labels in [*firing, sentinel]]
        ).raise_for_status()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            arrivals = httpx.get(f"{receiver}/notifications").json()["notifications"]
            if any(one["labels"]["alertname"] == "Sentinel" for arrival in arrivals for one in arrival["alerts"]):
                time.sleep(0.5)  # what is to be sent waits no longer than the sentinel
                arrivals = httpx.get(f"{receiver}/notifications").json()["notifications"]
                return [one for one in arrivals if one["alerts"][0]["labels"]["alertname"] != "Sentinel"]
            time.sleep(0.05)
        pytest.fail("the sentinel did not arrive within 20 s")
