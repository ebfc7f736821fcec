"""`flightdeck load`: keep services busy with steady traffic."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.load.continuous_load import ArmStats


def load(  # noqa: PLR0913, PLR0917 each is an option of the command
    urls: Annotated[list[str] | None, typer.Argument(help="Services, as http://host:port.")] = None,
    arms: Annotated[list[str] | None, typer.Option("--arm", help="A service with its name, as name=url.")] = None,
    rate: Annotated[float, typer.Option(min=0.001, help="Requests per second to each.")] = 2.0,
    mix: Annotated[str, typer.Option(help="What to ask for: a mix of the traffic model.")] = "everyday",
    duration: Annotated[float, typer.Option(min=0, help="Seconds; 0 is until Ctrl-C.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed asks for the same, at the same moments.")] = 1,
    token: Annotated[
        str, typer.Option(envvar="WRITE_TOKEN", help="Bearer token of writes; without one nobody writes.")
    ] = "",
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 5.0,
) -> None:
    """Send the same requests to every service at the same moments, keeping up or not, and show how they do."""
    import asyncio

    from lab.core.errors import LabError
    from lab.load.continuous_load import ENDLESS_S, ContinuousLoad, run
    from lab.traffic.locust_settings import parsed_arms
    from lab.traffic.traffic import MIXES

    if mix not in MIXES:
        typer.echo(f"--mix: {mix!r} is not one of {', '.join(MIXES)}", err=True)
        raise typer.Exit(2)
    named = [*(f"{url.partition('://')[2]}={url}" for url in urls or []), *(arms or [])]
    try:
        asked = ContinuousLoad(
            arms=parsed_arms(",".join(named), name="arms"),
            rate_per_s=rate,
            mix=mix,
            seed=seed,
            token=token,
            duration_s=duration or ENDLESS_S,
            every_s=every,
        )
    except LabError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    try:
        seen = asyncio.run(run(asked, shown=_look))
    except KeyboardInterrupt:
        typer.echo("stopped before the first request", err=True)
        raise typer.Exit(130) from None
    typer.echo("")
    for name, each in seen.items():
        typer.echo(_line(name, each, whole=True))
    if not any(each.whole.responses for each in seen.values()):
        raise typer.Exit(1)


def _look(seconds: float, seen: "Mapping[str, ArmStats]") -> None:
    for number, (name, each) in enumerate(seen.items()):
        typer.echo(f"{f'{seconds:6.0f} s' if number == 0 else '':8}  {_line(name, each)}")


def _line(name: str, each: "ArmStats", *, whole: bool = False) -> str:
    """Return what an arm showed, in one line."""
    from lab.report.formatting import quantity

    recording = each.whole if whole else each.now
    latencies = recording.overall()
    rate = recording.responses.total() / recording.duration_s if recording.duration_s else None
    parts = [
        f"{name:20}",
        f"{quantity(rate, '1/s'):>8}",
        *(f"{word} {quantity(latencies.quantile(share), 's'):>8}" for word, share in SHARES.items()),
        f"{recording.server_errors} failed" if recording.server_errors else "",
        f"{each.under_way} waiting" if each.under_way and not whole else "",
        f"{recording.requests} requests" if whole else "",
        f"mostly: {recording.failures.most_common(1)[0][0]}" if recording.failures else "",
        "the load itself was late" if recording.responses and recording.is_late() else "",
    ]
    return "  ".join(filter(None, parts))
