"""Who hears what, asked of Alertmanager's own tools and of a real Alertmanager."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prometheus.build import ROOT

CONFIG = ROOT / "prometheus/alertmanager/alertmanager.yml"
TEMPLATES = ROOT / "prometheus/alertmanager/templates/*.tmpl"


def test_alertmanager_accepts_the_configuration(amtool: Callable[..., str]) -> None:
    assert "SUCCESS" in amtool("check-config", CONFIG)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=page", "alertname=ServiceDown"], "page"),
        (["severity=ticket", "alertname=PoolExhausted"], "ticket"),
        (["severity=heartbeat", "alertname=Heartbeat"], "heartbeat"),
        (["severity=page", "alertname=ServiceDown", "drill=service-down"], "drill"),
        (["severity=ticket", "alertname=CacheDown", "drill=redis-stopped"], "drill"),
        (["severity=heartbeat", "alertname=Heartbeat", "drill=redis-stopped"], "heartbeat"),
        (["alertname=SomebodyElses"], "ticket"),
    ],
    ids=" ".join,
)
def test_an_alert_reaches_exactly_one_receiver(amtool: Callable[..., str], labels: list[str], receiver: str) -> None:
    said = amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels)
    assert said.split() == [receiver]


def test_a_message_carries_the_links(amtool: Callable[..., str], tmp_path: Path) -> None:
    alert = {
        "status": "firing",
        "labels": {"alertname": "PoolExhausted", "severity": "ticket", "owner": "service"},
        "annotations": {
            "summary": "No connection became free",
            "description": "12 requests waited in vain",
            "runbook_url": "http://localhost:9095/runbooks/pool-exhausted",
            "dashboard": "http://localhost:3000/d/flightdeck-pooling",
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
    assert "12 requests waited in vain" in text
