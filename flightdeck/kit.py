"""Write and check rules, alerts, runbooks and dashboards for your own instrumented service."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from flightdeck.exits import fail, failing_on
from flightdeck.options import AsJson

if TYPE_CHECKING:
    from lab.drills.run.outcome import OnOutcome, Outcome

commands = typer.Typer(no_args_is_help=True, help=__doc__)


SloPath = Annotated[Path, typer.Option("--slo", help="The description of the service.")]
PrometheusUrl = Annotated[str, typer.Option("--prometheus", help="URL of Prometheus.")]


@commands.command()
def init(
    source: Annotated[
        str, typer.Option("--from", help="URL of the metrics of the running service.")
    ] = "http://localhost:9464/metrics",
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("slo.toml"),
    job: Annotated[str, typer.Option(help="The job under which Prometheus scrapes the service.")] = "service",
    target: Annotated[
        list[str] | None,
        typer.Option(help="Address with metrics as Prometheus reaches it, `host:port`; by default that of --from."),
    ] = None,
    from_openslo: Annotated[
        Path | None, typer.Option(help="OpenSLO file with the objectives; by default they are proposed.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented slo.toml from the routes, the traffic and the parts of a running service."""
    from lab.kit.discovery import NotInstrumented, discover
    from lab.kit.openslo import OpenSloError, imported
    from lab.kit.slo_file import slo_text
    from prometheus.slo import InvalidObjectives, parse

    if out.exists() and not force:
        fail(f"{out} exists; --force replaces it, --out names another file")
    with failing_on(NotInstrumented, OpenSloError, InvalidObjectives, OSError, UnicodeDecodeError):
        agreed = imported(from_openslo.read_text("utf-8")) if from_openslo else None
        found = discover(source)
        text = slo_text(found, job=job, targets=target or [urlsplit(source).netloc], agreed=agreed)
        objectives = parse(text, name=out.name)
    with failing_on(OSError):
        out.write_text(text, encoding="utf-8")
    groups = ", ".join(objectives.groups)
    typer.echo(f"{out}: {len(found.routes)} routes in the groups {groups}; parts: {', '.join(objectives.parts)}")
    typer.echo("Read it, change what does not fit, then: flightdeck kit build")


@commands.command()
def build(
    slo: SloPath = Path("slo.toml"),
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("monitoring"),
    accelerated: Annotated[
        bool, typer.Option("--accelerated", help="Rules for a demonstration, in which an hour lasts a minute.")
    ] = False,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Add objects of the Prometheus Operator, and boards as ConfigMaps.")
    ] = False,
    compose: Annotated[
        bool, typer.Option("--compose", help="Add an overlay for your compose file, with traces and logs.")
    ] = False,
    openslo: Annotated[bool, typer.Option("--openslo", help="Add the objectives as OpenSLO.")] = False,
) -> None:
    """Write rules, alerts with tests, runbooks, dashboards and configuration for the service."""
    from lab.kit.build import Extras, kit_files, write
    from lab.kit.openslo import OpenSloError
    from prometheus.duration import ACCELERATED, REAL
    from prometheus.slo import InvalidObjectives, load

    with failing_on(InvalidObjectives, OpenSloError, OSError):
        extras = Extras(kubernetes=kubernetes, compose=compose, openslo=openslo)
        files = kit_files(load(slo), ACCELERATED if accelerated else REAL, extras)
        changed = write(files, out)
    typer.echo(f"{out}: {len(files)} files, {len(changed)} changed")


@commands.command()
def check(
    slo: SloPath = Path("slo.toml"),
    out: Annotated[Path, typer.Option("--out", help="The folder that `kit build` wrote.")] = Path("monitoring"),
    prometheus: PrometheusUrl = "http://localhost:9090",
    grafana: Annotated[str | None, typer.Option(help="URL of Grafana; without it boards are not looked up.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the kit with a running Prometheus: every query has data, or a reason for having none.

    Exits with 0 if there is no problem, with 1 if there is one, with 2 if a server does not respond.
    """
    from rich.console import Console
    from rich.markup import escape

    from lab.kit.check import NotReachable
    from lab.kit.check import check as check_kit
    from prometheus.slo import InvalidObjectives, load

    with failing_on(InvalidObjectives, NotReachable):
        report = check_kit(load(slo), out, prometheus=prometheus, grafana=grafana)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
        raise typer.Exit(bool(report.problems))
    console = Console(highlight=False, soft_wrap=True)
    for finding in report.findings:
        mark = "[bold red]✗[/]" if finding.kind == "problem" else "[yellow]?[/]"
        empty = " is empty" if finding.kind == "empty panel" else ""
        console.print(f"{mark} {escape(finding.where)}{empty}: {escape(finding.text)}")
    reasons = sum(finding.kind == "no data" for finding in report.findings)
    console.print(
        f"{report.checked} queries checked: {len(report.problems)} problems, {reasons} without data yet; "
        f"{len(report.empty_panels)} of {report.panels} panels are empty"
    )
    raise typer.Exit(bool(report.problems))


@commands.command()
def drill(  # noqa: PLR0913, PLR0917 each is an option of the command
    name: Annotated[str, typer.Argument(help="The drill, such as service-down; docs/kit.md lists them.")],
    listen: Annotated[str | None, typer.Option(help="Where the proxy listens, `host:port`.")] = None,
    forward: Annotated[
        str | None, typer.Option(help="Where it forwards, `host:port`: the metrics, a server, a collector.")
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="URL of the metrics port, for a fault that the service injects itself.")
    ] = "http://localhost:9464",
    slo: SloPath = Path("slo.toml"),
    prometheus: PrometheusUrl = "http://localhost:9090",
    receiver: Annotated[
        str | None,
        typer.Option(help="URL of `flightdeck receiver`; without it alerts must fire, and need not be delivered."),
    ] = None,
    request: Annotated[
        list[str] | None, typer.Option(help="URL to request five times a second meanwhile; can be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Inject a fault into your service, then require its alert to fire, be delivered and resolve.

    A proxy is the fault: Prometheus must scrape the service through it, or the service must reach the other server
    through it. Or the service injects the fault itself, if it runs with OBSERVABILITY_FAULTS=true: loop-blocked,
    pool-exhausted. Exits with 0 if the alert fired and resolved, and with 1 otherwise.
    """
    from flightdeck.drill import log_to_stderr, run_until_signal
    from lab.core.address import host_and_port
    from lab.core.errors import BadTarget
    from lab.drills.environments.running_service import SERVICE_DRILLS, DebugDrill, Observed, run_on_service
    from lab.drills.faults.debug_endpoint import DebugEndpoint
    from lab.drills.faults.proxy import Proxy
    from lab.drills.run.errors import DrillError
    from lab.drills.run.table import show
    from prometheus.slo import InvalidObjectives, load

    if name not in SERVICE_DRILLS:
        fail(f"no drill {name}; there are {', '.join(SERVICE_DRILLS)}")
    chosen = SERVICE_DRILLS[name]
    fault: DebugEndpoint | Proxy
    if isinstance(chosen, DebugDrill):
        fault = DebugEndpoint(metrics, chosen.fault, seconds=chosen.seconds, pause_s=chosen.pause_s)
    elif listen is None or forward is None:
        fail(f"{name} needs a proxy: name its addresses with --listen and --forward")
    else:
        with failing_on(BadTarget):
            fault = Proxy(host_and_port(listen), host_and_port(forward))
    observed = Observed(prometheus=prometheus, receiver=receiver, requests=request or ())
    outcomes: list[Outcome] = []

    async def run(on_outcome: "OnOutcome") -> None:
        on_outcome(await run_on_service(chosen, objectives, fault=fault, observed=observed, log=log_to_stderr))

    with failing_on(InvalidObjectives):
        objectives = load(slo)
    with failing_on(DrillError, code=1):
        run_until_signal(run, outcomes.append)
    for outcome in outcomes:
        if as_json:
            typer.echo(json.dumps(asdict(outcome), indent=2))
        else:
            show(outcome)
    if not outcomes or outcomes[0].failure:
        raise typer.Exit(1)
