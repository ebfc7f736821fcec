"""Record what five arms say under everyday traffic, and see that a real Prometheus fires nothing meanwhile.

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

from lab.databases import DATABASES, borrow
from lab.drills.monitoring import Monitoring
from lab.drills.process import Process
from lab.load import drive
from lab.memory import Memory
from lab.pace import OpenLoop, Stretch
from lab.process import FLIGHTDECK, free_ports
from lab.traffic import Traffic
from lab.wire import Address
from prometheus.build import dumped, rule_files
from prometheus.duration import Clock
from prometheus.rule import Alert, Recording
from prometheus.slo import load
from service.techniques import ARMS
from tests.prometheus.everyday import KEPT, KEPT_STEP_S
from tests.prometheus.exposition import names_in

PROMISED: Final = "optimized"
RATE_PER_S: Final = 2.0
"""To each arm, as Locust sends it in the compose stack."""
WARM_S: Final = 20.0
"""Left out of what is kept: the caches fill."""
CLOCK: Final = Clock(speed=10)
TOKEN: Final = "recorded"
FIRED: Final = 'count by (alertname, arm) (count_over_time(ALERTS{alertstate="firing", alertname!="Heartbeat"}[1h]))'


def names_read() -> set[str]:
    """Return the metrics that rules read and processes expose."""
    rules = [rule for groups in rule_files(load()).values() for group in groups for rule in group.rules]
    recorded = {rule.record for rule in rules if isinstance(rule, Recording)}
    read = {name for rule in rules if isinstance(rule, Alert | Recording) for name in names_in(rule.expr)}
    return {name for name in read - recorded if not name.startswith(("prometheus_", "alertmanager_"))}


def write_rules(directory: Path) -> None:
    """Write the rules on the quick clock."""
    objectives = load()
    for name, groups in rule_files(objectives).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dumped({"groups": [group.mapping(CLOCK, objectives.links) for group in groups]}), "utf-8")


class Everyday:
    """Five arms, a worker, the upstream, and the traffic that the demo sends."""

    def __init__(self, directory: Path, data_dir: Path) -> None:
        self._directory = directory
        self._data_dir = data_dir
        self._urls: dict[str, str] = {}
        self._metrics: dict[str, str] = {}
        upstream, self._worker_port = free_ports(2)
        self._weather = f"http://127.0.0.1:{upstream}"
        command = [*FLIGHTDECK, "upstream", "--port", str(upstream), "--data-dir", str(data_dir)]
        self.processes = [Process("the upstream", command, ready_url=f"{self._weather}/livez")]
        self.processes += [self._arm(arm) for arm in ARMS]
        self.processes.append(
            Process(
                "the worker",
                [*FLIGHTDECK, "worker", "--metrics-port", str(self._worker_port)],
                ready_url=f"http://127.0.0.1:{self._worker_port}/metrics",
                environment=self._environment(PROMISED),
            )
        )

    async def start(self, monitoring: Monitoring) -> None:
        """Start everything and let Prometheus scrape it under the jobs of the compose stack."""
        for arm, techniques in ARMS.items():
            own = DATABASES[0] if "indexes" in techniques else DATABASES[1]
            (self._directory / arm).mkdir()
            await asyncio.to_thread(borrow, self._data_dir, self._directory / arm, written=own)
        for process in self.processes:
            await process.start()
        others = {address: {"arm": arm} for arm, address in self._metrics.items() if arm != PROMISED}
        monitoring.scrape("service", [self._metrics[PROMISED]], arm=PROMISED)
        monitoring.scrape_each("comparison", others)
        monitoring.scrape("worker", [f"127.0.0.1:{self._worker_port}"], arm=PROMISED)

    async def asked(self, seconds: float) -> None:
        """Ask every arm for the same, at the same times."""
        async with asyncio.TaskGroup() as group:
            for url in self._urls.values():
                requests = Traffic("whole service", seed=1).requests(0)
                stretch = Stretch(duration_s=seconds)
                pace, memory = OpenLoop(rate_per_s=RATE_PER_S), Memory(token=TOKEN)
                group.create_task(drive(Address.of(url), requests, pace, stretch, memory=memory))

    def _arm(self, arm: str) -> Process:
        port, metrics_port = free_ports(2)
        self._urls[arm], self._metrics[arm] = f"http://127.0.0.1:{port}", f"127.0.0.1:{metrics_port}"
        command = [*FLIGHTDECK, "serve", "--port", str(port), "--metrics-port", str(metrics_port)]
        return Process(arm, command, ready_url=f"{self._urls[arm]}/readyz", environment=self._environment(arm))

    def _environment(self, arm: str) -> dict[str, str]:
        techniques = ",".join(sorted(ARMS[arm])) or "none"
        own = {"ARM": arm, "TECHNIQUES": techniques, "DATA_DIR": str(self._directory / arm), "WRITE_TOKEN": TOKEN}
        return own | {"WEATHER_URL": self._weather, "OBSERVABILITY_ACCESS_LOG": "false"}


async def record(data_dir: Path, seconds: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the series under everyday traffic, with a value for each step, and the alerts that fired."""
    directory = Path(tempfile.mkdtemp(prefix="flightdeck-record-"))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        await asyncio.to_thread(write_rules, directory / "quick")
        jobs = ("service", "comparison", "worker")
        monitoring = Monitoring(directory, drill="everyday", jobs=jobs, rules=directory / "quick")
        monitoring.prepare()
        everyday = Everyday(directory, data_dir)
        for process in everyday.processes:
            stack.push_async_callback(process.stop)
        stack.push_async_callback(monitoring.stop)
        await everyday.start(monitoring)
        await monitoring.start()
        begun = time.time()
        await everyday.asked(seconds)
        async with httpx.AsyncClient(base_url=monitoring.prometheus_url, timeout=30.0) as client:
            fired = await _answer(client, "query", query=FIRED)
            span = {"start": begun + WARM_S, "end": begun + seconds, "step": KEPT_STEP_S}
            series = [
                one
                for name in sorted(names_read())
                for one in await _answer(
                    client, "query_range", query=f'{name}{{job=~"service|comparison|worker"}}', **span
                )
            ]
        return series, fired


async def _answer(client: httpx.AsyncClient, kind: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = (await client.get(f"/api/v1/{kind}", params=parameters)).raise_for_status().json()
    result: list[dict[str, Any]] = answer["data"]["result"]
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
