"""Known results of `flightdeck lab compare`: a service that is 10 % slower, and an equal one, with a login and a POST.

Fails if the interval of the slower one does not contain 1.10, or if the equal one shows a difference.
"""

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from lab.analysis.result import ExperimentResult
from lab.compare import COMPARISON, RemoteService, compare
from lab.core.servers import Servers
from lab.load.testing import ReceivedRequest, StubResponse, stub_service
from lab.measure.plan import experiment_plan
from lab.report.live import live_progress
from lab.run import RunOptions
from lab.workload.workload import Workload

SLOWER: Final = 1.10
RESPONSE_S: Final = 0.05
SHOP: Final = {
    "clients": 5,
    "values": {"user": ["ann", "bob"], "item": [1, 2, 3]},
    "headers": {"Authorization": "Bearer {token}"},
    "login": {"path": "/login", "json": {"user": "{user}", "password": "${SHOP_PASSWORD}"}, "token": "token"},
    "requests": [
        {"name": "search", "path": "/search?q={item}", "weight": 3},
        {"name": "order", "method": "POST", "path": "/orders", "json": {"item": "{item}"}, "expect": 201},
    ],
}


async def shop(request: ReceivedRequest, *, times: float) -> StubResponse:
    if request.target == "/login":
        return StubResponse(body=json.dumps({"token": f"token of {json.loads(request.body)['user']}"}).encode())
    if not request.headers.get("authorization", "").startswith("Bearer token of "):
        return StubResponse(status=401)
    await asyncio.sleep(RESPONSE_S * times)
    return StubResponse(status=201 if request.method == "POST" else 200)


async def compared(times: float) -> ExperimentResult:
    """Return the comparison with a service whose responses take this many times as long."""
    options = RunOptions(
        data_dir=Path(),
        command="python -m bench.compare",
        plan=experiment_plan(quick=True, seed=1, rate_per_s=30),
        servers=Servers({}),
    )
    async with stub_service(partial(shop, times=1.0)) as one, stub_service(partial(shop, times=times)) as other:
        services = RemoteService(name="A", url=one), RemoteService(name="B", url=other)
        with live_progress(Console(stderr=True)) as progress:
            result = await compare(*services, Workload.model_validate(SHOP), options, progress)
    return result.techniques[COMPARISON]


def main() -> int:
    os.environ.setdefault("SHOP_PASSWORD", "open sesame")
    slower, equal = (asyncio.run(compared(times)) for times in (SLOWER, 1.0))
    failed = 0
    for times, found, verdict in ((SLOWER, slower, "hurts"), (1.0, equal, "no difference seen")):
        low, high = found.metrics[found.headline].interval or (0.0, None)
        is_right = found.is_valid and found.verdict == verdict and high is not None and low <= 1 / times <= high
        failed += not is_right
        ends = f"{low:.3f} to {'no end' if high is None else f'{high:.3f}'}"
        said = "ok" if is_right else "WRONG" if found.is_valid else "not valid, measure on an idle machine"
        Console().print(f"{times:.2f} times as slow: {1 / times:.3f}, interval {ends}, {found.verdict}: {said}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
