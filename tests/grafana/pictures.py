"""Render every board from live data: five arms and a third-party application, scraped by a real Prometheus.

    python -m tests.grafana.pictures --renderer DIRECTORY

The renderer's `render.mjs` draws a dashboard's JSON with Grafana's own libraries in Chromium. Without one, the stack
runs for as long, and any Grafana can be pointed at the URL that is printed.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.arms.ports import free_ports
from lab.core.command import FLIGHTDECK
from lab.drills.environments.monitoring import Monitoring
from lab.drills.run.process import Process
from prometheus.generated import ROOT
from tests.servers.arms import JOBS
from tests.servers.mixed_load import arms_on_own_databases, send_traffic
from tests.servers.otlp import collecting
from tests.servers.requests import BOOKSHOP_REQUESTS
from tests.servers.stack import BOOKSHOP_JOB, MixedTraffic, bookshop

BOARDS: Final = ROOT / "grafana" / "dashboards"
IMAGES: Final = ROOT / "docs" / "images"
LAB_JOB: Final = "lab"
SCRAPE_S: Final = 5
SHOP_PAUSE_S: Final = 0.5
SUCCESSFUL_REQUESTS: Final = tuple(one for one in BOOKSHOP_REQUESTS if one.path != f"/books/{2**63}")
"""Requests to the shop, without those that it cannot serve."""
SETTLE_S: Final = 20.0
"""After the traffic, until recording rules have seen its end."""
MAY_BE_EMPTY: Final = (
    "PostgreSQL|Redis|Rows read|Reads by|Buffer cache|Replica|Transactions|Locks|[Ee]dge|Host|[Bb]roker|Consumers|"
    "Collector"
)
"""Titles of panels about servers that are not part of this stack; panels in collapsed rows are not rendered."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One board with what is chosen of its variables."""

    board: str
    name: str
    variables: Sequence[str] = ()

    def command(self, renderer: Path, prometheus_url: str, *, seconds: float, out: Path, report: Path) -> list[str]:
        """Return the renderer's command line."""
        end = ["--from", f"now-{seconds:.0f}s", "--to", f"now-{SETTLE_S:.0f}s", "--scrape-interval", f"{SCRAPE_S}s"]
        chosen = [part for variable in self.variables for part in ("--var", variable)]
        where = ["--prom", prometheus_url, "--out", str(out / f"dashboard-{self.name}.png")]
        options = ["--timezone", "utc", "--timeout", "180", "--allow-empty", MAY_BE_EMPTY, "--report", str(report)]
        return [
            "node",
            str(renderer / "render.mjs"),
            str(BOARDS / f"{self.board}.json"),
            *where,
            *end,
            *chosen,
            *options,
        ]


def pictures(*, with_lab: bool) -> Iterator[Picture]:
    """Yield every board once, and the board of any service a second time, with the third-party application."""
    for path in sorted(BOARDS.glob("*.json")):
        if path.stem != "lab" or with_lab:
            yield Picture(board=path.stem, name=path.stem)
    yield Picture(board="service", name="service-bookshop", variables=(f"job={BOOKSHOP_JOB}",))


def lab_metrics(result: Path) -> tuple[str, Process]:
    """Return the address and the process that serve a result of the lab."""
    (port,) = free_ports(1)
    command = [*FLIGHTDECK, "lab", "serve", str(result), "--port", str(port)]
    return f"127.0.0.1:{port}", Process("the lab", command, ready_url=f"http://127.0.0.1:{port}/metrics")


async def drawn(options: argparse.Namespace) -> list[str]:
    """Run the stack, draw the boards, and return those that lack data, with the panels."""
    directory = Path(tempfile.mkdtemp(prefix="flightdeck-pictures-"))
    jobs = (*JOBS, BOOKSHOP_JOB, LAB_JOB)
    monitoring = Monitoring(directory, drill="pictures", jobs=jobs, rules=ROOT / "prometheus", scrape_s=SCRAPE_S)
    monitoring.write_configuration()
    incomplete = []
    async with AsyncExitStack() as stack:
        collector = stack.enter_context(collecting()).endpoint
        shop_url, shop_metrics, shop = bookshop(directory, collector)
        monitoring.set_targets(BOOKSHOP_JOB, [shop_metrics])
        others = [shop]
        if options.result:
            address, lab = lab_metrics(options.result)
            monitoring.set_targets(LAB_JOB, [address])
            others.append(lab)
        arms = await stack.enter_async_context(
            arms_on_own_databases(monitoring, options.data_dir, *others, collector=collector)
        )
        print(f"Prometheus: {monitoring.prometheus_url}", flush=True)  # noqa: T201 its user may look at it
        shopping = MixedTraffic(
            (), shop_url, seconds=options.seconds, pause_s=SHOP_PAUSE_S, bookshop_requests=SUCCESSFUL_REQUESTS
        )
        await asyncio.gather(send_traffic(arms, options.seconds), shopping.run())
        await asyncio.sleep(SETTLE_S)
        for picture in pictures(with_lab=bool(options.result)) if options.renderer else ():
            report = directory / f"{picture.name}.json"
            line = picture.command(
                options.renderer, monitoring.prometheus_url, seconds=options.seconds, out=options.out, report=report
            )
            process = await asyncio.create_subprocess_exec(*line)
            if await process.wait():
                failed = json.loads(report.read_text("utf-8"))["failed"] if report.exists() else ["not drawn"]
                incomplete.append(f"{picture.name}: {', '.join(failed)}")
    return incomplete


def main() -> None:
    """Draw the pictures; exit 1 naming those that lack data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderer", type=Path, help="the directory that has render.mjs")
    parser.add_argument("--seconds", type=float, default=900.0, help="of traffic")
    parser.add_argument("--data-dir", type=Path, default=ROOT / ".flightdeck", help="where the databases are")
    parser.add_argument("--result", type=Path, help="a result of the lab as JSON, for its board")
    parser.add_argument("--out", type=Path, default=IMAGES, help="where the pictures go")
    if incomplete := asyncio.run(drawn(parser.parse_args())):
        sys.exit("\n".join(["without all data:", *incomplete]))


if __name__ == "__main__":
    main()
