"""Record the metrics of five arms under everyday traffic; a real Prometheus must fire no alert meanwhile.

    python -m tests.prometheus.record

The rules' time runs ten times as fast, so that three minutes are half an hour to them. What they read is kept in
everyday.json, from which a test plays half an hour on the real clock.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from lab.drills.environments.monitoring import Monitoring
from prometheus.build import rule_files, yaml_text
from prometheus.duration import Clock
from prometheus.expression import series_in
from prometheus.rule import Alert, Recording
from prometheus.scope import Scope
from prometheus.slo import load
from tests.prometheus.everyday import KEPT, KEPT_STEP_S
from tests.servers.arms import JOBS
from tests.servers.mixed_load import arms_on_own_databases, send_traffic

WARM_S: Final = 20.0
"""Left out of what is kept: the caches fill."""
CLOCK: Final = Clock(speed=10)
FIRED: Final = 'count by (alertname, arm) (count_over_time(ALERTS{alertstate="firing", alertname!="Watchdog"}[1h]))'


def names_read() -> set[str]:
    """Return the metrics that rules read and processes expose."""
    rules = [rule for groups in rule_files(load()).values() for group in groups for rule in group.rules]
    recorded = {rule.record for rule in rules if isinstance(rule, Recording)}
    read = {name for rule in rules if isinstance(rule, Alert | Recording) for name in series_in(rule.expr)}
    return {name for name in read - recorded if not name.startswith(("prometheus_", "alertmanager_"))}


def write_rules(directory: Path) -> None:
    """Write the rules on the quick clock."""
    objectives = load()
    for name, groups in rule_files(objectives).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml_text({"groups": [group.mapping(CLOCK, Scope(objectives)) for group in groups]}), "utf-8")


async def record(data_dir: Path, seconds: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the series under everyday traffic, with a value for each step, and the alerts that fired."""
    directory = Path(tempfile.mkdtemp(prefix="flightdeck-record-"))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        await asyncio.to_thread(write_rules, directory / "quick")
        monitoring = Monitoring(directory, drill="everyday", jobs=JOBS, rules=directory / "quick")
        monitoring.write_configuration()
        arms = await stack.enter_async_context(arms_on_own_databases(monitoring, data_dir))
        begun = time.time()
        await send_traffic(arms, seconds)
        async with httpx.AsyncClient(base_url=monitoring.prometheus_url, timeout=60) as client:
            fired = await _query(client, "query", query=FIRED)
            span = {"start": begun + WARM_S, "end": begun + seconds, "step": KEPT_STEP_S}
            series = [
                one
                for name in sorted(names_read())
                for one in await _query(client, "query_range", query=f'{name}{{job=~"{"|".join(JOBS)}"}}', **span)
            ]
        return series, fired


async def _query(client: httpx.AsyncClient, kind: str, **parameters: Any) -> list[dict[str, Any]]:
    body = (await client.get(f"/api/v1/{kind}", params=parameters)).raise_for_status().json()
    result: list[dict[str, Any]] = body["data"]["result"]
    return result


def kept(series: list[dict[str, Any]]) -> list[str]:
    """Return a line of JSON for each series: its labels, then its values, or the first where they never change."""
    moments = sorted({moment for one in series for moment, _ in one["values"]})
    lines = []
    for one in series:
        labels = {label: value for label, value in one["metric"].items() if label != "instance"}
        values: list[float] = []
        seen = dict(one["values"])
        for moment in moments:  # what no request has made yet is zero
            values.append(float(seen[moment]) if moment in seen else values[-1] if values else 0.0)
        lines.append(json.dumps([labels, values[:1] if len(set(values)) == 1 else values], separators=(",", ":")))
    return sorted(lines)


def main() -> None:
    """Record, write what is kept, and exit 1 naming the alerts that fired."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="of traffic")
    parser.add_argument("--data-dir", type=Path, default=Path(".flightdeck"), help="where the databases are")
    options = parser.parse_args()
    series, fired = asyncio.run(record(options.data_dir, options.seconds))
    if fired:
        sys.exit("\n".join(f"{one['metric']} fired for {one['value'][1]} s" for one in fired))
    lines = kept(series)
    KEPT.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(f"nothing fired in {options.seconds:.0f} s; {len(lines)} series in {KEPT.name}")  # noqa: T201 a command


if __name__ == "__main__":
    main()
