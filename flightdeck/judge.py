"""`flightdeck lab judge`: a canary, judged from Prometheus."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from flightdeck.exits import fail, failing_on
from flightdeck.options import AsJson, Host, finite

DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
UNITS = {"s": 1, "m": 60, "h": 3600}
EXIT_CODES = {"pass": 0, "fail": 3, "undecided": 4}


def seconds(text: str) -> float:
    """Return the seconds of a duration such as `90s`, `10m` or `1h`."""
    found = DURATION.fullmatch(text.strip())
    if found is None or not 1 <= (duration := float(found[1]) * UNITS[found[2]]) <= 7 * 24 * 3600:
        raise typer.BadParameter(f"{text!r} is not a duration such as 90s, 10m or 1h.")
    return duration


def judge(  # noqa: PLR0913, PLR0917 the options of a command
    baseline: Annotated[str, typer.Option(help="Selector of the running version's series, as '{version=\"1\"}'.")],
    candidate: Annotated[str, typer.Option(help="Selector of the new version's series.")],
    prometheus: Annotated[str, typer.Option(help="URL of Prometheus; PROMETHEUS_TOKEN has its bearer token, if any.")],
    for_: Annotated[str, typer.Option("--for", help="How long to judge, as 10m; a failure ends it earlier.")] = "10m",
    every: Annotated[str, typer.Option(help="Time between looks: at least the scrape interval.")] = "15s",
    alpha: Annotated[
        float,
        typer.Option(
            min=0.0001, max=0.5, callback=finite, help="Probability that an equal candidate ever fails, at most."
        ),
    ] = 0.05,
    margin: Annotated[
        float,
        typer.Option(
            min=1.01,
            max=10,
            callback=finite,
            help="A pass shows that the candidate's p95 is less than this many times.",
        ),
    ] = 1.2,
    histogram: Annotated[
        str, typer.Option(help="Name of the histogram of durations.")
    ] = "http_request_duration_seconds",
    requests: Annotated[str, typer.Option(help="Name of the counter of requests.")] = "http_requests_total",
    failed: Annotated[str, typer.Option(help="Matcher of the requests that failed.")] = 'status="5xx"',
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Serve the latest judgement as JSON on this port until Ctrl-C; 0: a free one."
        ),
    ] = None,
    host: Host = "127.0.0.1",
    output: Annotated[Path | None, typer.Option(help="Also write the last judgement to this file as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a canary from Prometheus: exit with 0 for pass, 3 for fail, 4 for undecided."""
    import time
    from functools import partial
    from threading import Event

    from lab.core.errors import LabError
    from lab.judge.canary import Clock, Published, judged
    from lab.judge.judge import Judge
    from lab.judge.series import Names, Prometheus, Version

    published, say = Published(), partial(typer.echo, err=True)
    with failing_on(LabError):
        names = Names(histogram=histogram, requests=requests, failed=failed)
        versions = Version(baseline, names), Version(candidate, names)
        judging = Judge(for_s=seconds(for_), every_s=seconds(every), alpha=alpha, margin=margin)
        server = Prometheus(prometheus, token=os.environ.get("PROMETHEUS_TOKEN", ""))
        clock = Clock(time=time.time, sleep=time.sleep)
        try:
            with published.served(host, port) as url:
                if url:
                    say(url)
                for judgement in judged(server, versions, judging, clock, say=say):
                    published.judgement = judgement
                    say(judgement.line())
                if url:
                    say("final; served until Ctrl-C")
                    Event().wait()
        except KeyboardInterrupt:
            if published.judgement is None or not published.judgement.is_final:
                fail("interrupted", code=130)
        finally:
            server.close()
    last = published.judgement
    if last is None:
        fail("no look at the versions", code=1)
    if output is not None:
        output.write_text(last.model_dump_json(indent=2), encoding="utf-8")
    typer.echo(last.model_dump_json(indent=2) if as_json else f"{last.verdict}: {last.reason}")
    raise typer.Exit(EXIT_CODES[last.verdict])
