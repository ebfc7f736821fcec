"""`flightdeck load`: send continuous traffic to services."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from flightdeck.exits import fail, failing_on
from flightdeck.options import Seed, finite

SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.load.continuous_load import ArmStats


def load(  # noqa: PLR0913, PLR0917 each is an option of the command
    urls: Annotated[list[str] | None, typer.Argument(help="Services, as http://host:port.")] = None,
    arms: Annotated[list[str] | None, typer.Option("--arm", help="A service with its name, as name=url.")] = None,
    rate: Annotated[float, typer.Option(min=0.001, callback=finite, help="Requests per second to each service.")] = 2.0,
    mix: Annotated[str, typer.Option(help="Traffic mix.")] = "everyday",
    duration: Annotated[float, typer.Option(min=0, callback=finite, help="Seconds; 0: until Ctrl-C.")] = 0.0,
    seed: Seed = 1,
    token: Annotated[
        str, typer.Option(envvar="WRITE_TOKEN", help="Bearer token of writes. Without it, no writes are sent.")
    ] = "",
    every: Annotated[float, typer.Option(min=0.2, callback=finite, help="Seconds between progress reports.")] = 5.0,
) -> None:
    """Send the same open-loop traffic to every service and report how each performs."""
    import asyncio

    from lab.core.errors import LabError
    from lab.load.continuous_load import ENDLESS_S, ContinuousLoad, run
    from lab.traffic.locust_settings import parsed_arms
    from lab.traffic.traffic import MIXES

    if mix not in MIXES:
        fail(f"--mix: {mix!r} is not one of {', '.join(MIXES)}")
    if not (token.isascii() and token.isprintable()):
        fail("--token: a bearer token has printable ASCII characters only")
    named = [*(f"{url.partition('://')[2]}={url}" for url in urls or []), *(arms or [])]
    with failing_on(LabError):
        continuous = ContinuousLoad(
            arms=parsed_arms(",".join(named), name="arms"),
            rate_per_s=rate,
            mix=mix,
            seed=seed,
            token=token,
            duration_s=duration or ENDLESS_S,
            every_s=every,
        )
    try:
        stats = asyncio.run(run(continuous, report=_print_stats))
    except KeyboardInterrupt:
        fail("stopped before the first request", code=130)
    typer.echo("")
    for name, arm in stats.items():
        typer.echo(_line(name, arm, is_total=True))
    if not any(arm.total.responses for arm in stats.values()):
        raise typer.Exit(1)


def _print_stats(seconds: float, stats: "Mapping[str, ArmStats]") -> None:
    for number, (name, arm) in enumerate(stats.items()):
        typer.echo(f"{f'{seconds:6.0f} s' if number == 0 else '':8}  {_line(name, arm)}")


def _line(name: str, arm: "ArmStats", *, is_total: bool = False) -> str:
    from lab.report.formatting import quantity

    recording = arm.total if is_total else arm.interval
    latencies = recording.overall()
    rate = recording.responses.total() / recording.duration_s if recording.duration_s else None
    parts = [
        f"{name:20}",
        f"{quantity(rate, '1/s'):>8}",
        *(f"{word} {quantity(latencies.quantile(share), 's'):>8}" for word, share in SHARES.items()),
        f"{recording.server_errors} failed" if recording.server_errors else "",
        f"{arm.in_flight} in flight" if arm.in_flight and not is_total else "",
        f"{recording.requests} requests" if is_total else "",
        f"mostly: {recording.failures.most_common(1)[0][0]}" if recording.failures else "",
        "load generator fell behind schedule" if recording.responses and recording.is_late() else "",
    ]
    return "  ".join(filter(None, parts))
