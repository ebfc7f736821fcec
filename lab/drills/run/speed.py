"""How many times faster than real time the loaded rules are, and how long an alert may take with them."""

from typing import Any, Final

import httpx

LONGEST_ALERT_S: Final = 2100.0
"""With real-time rules: a range of a quarter of an hour, `for`, and a repeat interval of 5 min."""
DELIVERY_S: Final = 420.0
"""The group waits of Alertmanager with real-time rules; with accelerated ones, time to stop and start containers."""
SPEED_ALERT: Final = "ServiceDown"
"""Its `for` is a minute with real-time rules, and so shows how much faster accelerated ones are."""


async def alert_durations_s(prometheus_url: str) -> dict[str, float]:
    """Return the `for` of every loaded alert by its name, in seconds; raise `httpx.HTTPError` without a response."""
    async with httpx.AsyncClient(timeout=10.0) as client:
        response = await client.get(f"{prometheus_url}/api/v1/rules?type=alert")
        groups = response.raise_for_status().json()["data"]["groups"]
    rules: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
    return {rule["name"]: float(rule["duration"]) for rule in rules}


def speed(durations_s: dict[str, float], *, alert_prefix: str = "") -> float:
    """Return how many times faster than real time the rules are."""
    return 60.0 / max(durations_s.get(alert_prefix + SPEED_ALERT, 60.0), 1.0)


def timeout_s(times: float) -> float:
    """Return how long an alert may take with rules that are so many times faster."""
    return DELIVERY_S + LONGEST_ALERT_S / times
