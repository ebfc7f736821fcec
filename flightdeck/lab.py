"""Measure the effects of techniques, and compare services of your own."""

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from flightdeck import compare, judge, results
from flightdeck.exits import exit_unless_measured, failing_on
from flightdeck.options import AsJson, BudgetS, DataDir, Quick, ReportPath, Seed, command_line, finite, require_data

commands = typer.Typer(no_args_is_help=True, help=__doc__)


@commands.command("list")
def list_experiments(as_json: AsJson = False) -> None:
    """List the experiments with their traffic and headline metric, and the sweeps."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from lab.core.servers import Servers
    from lab.experiments import AA, BY_NAME
    from lab.measure.metric import metric_named
    from lab.sweeps.catalogue import KNOWN

    servers = Servers.from_environ(os.environ)
    listed = [*BY_NAME.values(), AA]
    missing = {each.name: servers.missing(each.required_settings) for each in listed}
    if as_json:
        rows = [
            {
                "name": each.name,
                "techniques": sorted(each.techniques),
                "base": sorted(each.base),
                "question": each.question,
                "mix": each.mix,
                "case": each.case,
                "headline": each.headline,
                "missing": missing[each.name],
            }
            for each in listed
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("experiment", "question", "traffic", "headline metric", header_style="dim", box=SIMPLE)
    for each in listed:
        question = Text(each.question)
        if missing[each.name]:
            question.append(f"\nrequires {' and '.join(missing[each.name])}: {each.requirement}", style="yellow")
        if each.case:
            question.append(f"\n{each.case}", style="dim")
        if each.base:
            question.append(f"\nBoth arms use {', '.join(sorted(each.base))}.", style="dim")
        table.add_row(each.name, question, each.mix, metric_named(each.headline).title)
    swept = Table("sweep", "question", header_style="dim", box=SIMPLE)
    for name, each_sweep in KNOWN.items():
        swept.add_row(name, each_sweep.question)
    Console().print(table, swept)


@commands.command()
def run(  # noqa: PLR0913, PLR0917 the options of a command
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments to run (default: all). `aa` runs an A/A test: two equal arms."),
    ] = None,
    quick: Quick = False,
    as_json: AsJson = False,
    seed: Seed = 1,
    budget_s: BudgetS = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Also compare all techniques with all but the examined one.")
    ] = False,
    control: Annotated[
        bool,
        typer.Option("--control", help="Also run the negative control: traffic the technique should not affect."),
    ] = False,
    report: ReportPath = None,
    no_profile: Annotated[
        bool,
        typer.Option(
            "--no-profile", help="Without the flame graphs that --report and --json have, which take 5 s per arm."
        ),
    ] = False,
    distance: Annotated[
        str | None,
        typer.Option(
            help="Round-trip time to add between the arms and PostgreSQL, Redis, RabbitMQ and the weather service, as "
            "1ms or 0.5ms."
        ),
    ] = None,
    metrics_port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Serve results as Prometheus metrics on this local port while running (0: off)."
        ),
    ] = 0,
    metrics_file: Annotated[
        Path | None,
        typer.Option(
            envvar="LAB_METRICS_FILE", help="Also write these metrics to a Prometheus text file, which is kept."
        ),
    ] = None,
    data_dir: DataDir = Path(".flightdeck"),
) -> None:
    """Run experiments: the same traffic without and with a technique alternately, until the interval is narrow."""
    from rich.console import Console

    from lab.analysis.environment import environment
    from lab.core.duration import duration_s
    from lab.core.errors import LabError
    from lab.core.servers import Servers
    from lab.experiments import select_experiments
    from lab.measure.plan import experiment_plan
    from lab.report.formatting import distance_sentence
    from lab.report.live import live_progress
    from lab.run import RunOptions, experiment_jobs
    from lab.run import run as run_lab

    with failing_on(LabError):
        options = RunOptions(
            data_dir=data_dir,
            command=command_line(),
            plan=experiment_plan(
                quick=quick, seed=seed, budget_s=budget_s, profiles=not no_profile and (as_json or report is not None)
            ),
            servers=Servers.from_environ(os.environ),
            leave_one_out=leave_one_out,
            control=control,
            distance_s=duration_s(distance, option="--distance", such_as="1ms or 0.5ms") if distance else 0.0,
        )
        experiments = select_experiments(names or ["all"])
        if options.servers.has_own_database:
            require_data(data_dir)
        machine = environment(options.servers)
        with (
            live_progress(Console(stderr=True)) as progress,
            results.observer(metrics_port, metrics_file, machine=machine, say=progress.say) as observer,
        ):
            if options.distance_s:
                progress.say(distance_sentence(options.distance_s, options.servers.described()))
            result = asyncio.run(run_lab(experiment_jobs(experiments, options), options, progress, observer))
    results.show(result, as_json=as_json, report=report)
    exit_unless_measured(is_interrupted=result.is_interrupted, is_empty=not result.techniques)


@commands.command()
def sweep(
    names: Annotated[
        list[str], typer.Argument(help="pool-size, threads, page-size, compression, ttl, data-size, distance, or all.")
    ],
    seconds: Annotated[float, typer.Option(min=0.5, callback=finite, help="Measured seconds per point.")] = 3.0,
    techniques: Annotated[
        list[str] | None,
        typer.Option(
            "--technique", help="Experiment of the sweep `distance`; can be repeated (default: pooling, eager_loading)."
        ),
    ] = None,
    as_json: AsJson = False,
    report: ReportPath = None,
    data_dir: DataDir = Path(".flightdeck"),
) -> None:
    """Measure a setting over its range, and recommend a value."""
    from rich.console import Console

    from lab.core.errors import LabError
    from lab.core.servers import Servers
    from lab.measure.plan import THOROUGH
    from lab.report.live import live_progress
    from lab.run import RunOptions
    from lab.sweeps.catalogue import KNOWN, run_sweeps, select_sweeps

    servers = Servers.from_environ(os.environ)
    options = RunOptions(
        data_dir=data_dir, command=command_line(), plan=THOROUGH, servers=servers, swept=techniques or ()
    )
    with failing_on(LabError):
        selected = select_sweeps(names)
        if servers.has_own_database or any(KNOWN[name].needs_embedded for name in selected):
            require_data(data_dir)
        with live_progress(Console(stderr=True)) as progress:
            result = asyncio.run(run_sweeps(selected, options, progress, seconds=seconds))
    results.show(result, as_json=as_json, report=report)
    exit_unless_measured(is_interrupted=result.is_interrupted, is_empty=not result.sweeps)


@commands.command()
def calibrate(  # noqa: PLR0913, PLR0917 the options of a command
    names: Annotated[list[str] | None, typer.Argument(help="Techniques; all without a name.")] = None,
    quick: Quick = False,
    seconds: Annotated[
        float, typer.Option(min=1, callback=finite, help="Least time of the traffic that a prediction is made from.")
    ] = 20.0,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print a line of JSON for each technique as soon as it is known, and nothing else."
        ),
    ] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, and nothing else.")] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write an HTML report to this file, and JSON beside it, after each technique."),
    ] = None,
    seed: Seed = 1,
    budget_s: BudgetS = None,
    data_dir: DataDir = Path(".flightdeck"),
) -> None:
    """Measure the effect of each technique, predict it from the baseline's what-if metrics, and compare both.

    A technique that fails ends no other one; the exit code is then 1.
    """
    from rich.console import Console

    from lab.calibration.calibrate import Calibrator, limits
    from lab.calibration.report import write
    from lab.calibration.result import NotCalibrated, Outcome
    from lab.calibration.table import markdown, print_outcomes, sentence
    from lab.core.errors import LabError
    from lab.core.servers import Servers
    from lab.experiments import select_experiments
    from lab.measure.plan import experiment_plan
    from lab.report.live import live_progress
    from lab.run import RunOptions

    plan = experiment_plan(quick=quick, seed=seed, budget_s=budget_s)
    servers = Servers.from_environ(os.environ)
    options = RunOptions(data_dir=data_dir, command=command_line(), plan=plan, servers=servers)
    with failing_on(LabError):
        experiments = select_experiments(names or ["all"])
        if servers.has_own_database:
            require_data(data_dir)
        typer.echo(limits(experiments, plan, seconds=seconds), err=True)
        known: list[Outcome] = []
        with live_progress(Console(stderr=True)) as progress:

            def on_outcome(outcome: Outcome) -> None:
                known.append(outcome)
                if report is not None:
                    write(known, report, command=options.command)
                if as_json:
                    typer.echo(outcome.model_dump_json())
                if isinstance(outcome, NotCalibrated):
                    progress.say(sentence(outcome))

            calibrator = Calibrator(options=options, progress=progress, seconds=seconds)
            asyncio.run(calibrator.run(experiments, on_outcome))
    if report is not None:
        typer.echo(f"report: {report.resolve()}", err=True)
    if as_markdown:
        typer.echo(markdown(known), nl=False)
    elif not as_json:
        print_outcomes(known, Console(width=None))
    outcomes = {one.outcome for one in known if isinstance(one, NotCalibrated)}
    exit_unless_measured(is_interrupted="interrupted" in outcomes, is_empty=not known or "failed" in outcomes)


commands.command()(compare.compare)
commands.command()(compare.generator)
commands.command()(judge.judge)
commands.command("report")(results.write_reports)
commands.command()(results.schema)
commands.command()(results.serve)
