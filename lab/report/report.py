"""A result as one self-contained HTML file: no script, no font, no network."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lab.analysis.result import PARTS, ExperimentResult, LabResult, MetricResult
from lab.load.latencies import Latencies
from lab.measure.trace import TraceResult
from lab.report import charts, comparison, formatting
from lab.report.page import page
from lab.report.palette import arm_variable
from lab.report.profile import ProfileSection
from lab.report.sweep_charts import DrawnSweep
from lab.report.sweep_table import is_number
from lab.report.table import is_between_services, sides
from lab.report.waterfall import waterfall


@dataclass(frozen=True, kw_only=True)
class Chart:
    svg: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """One experiment of the report."""

    anchor: str
    part: str
    experiment: ExperimentResult

    @property
    def headline(self) -> formatting.Headline:
        return formatting.Headline.of(self.experiment)

    @property
    def headline_metric(self) -> MetricResult:
        return self.experiment.metrics[self.experiment.headline]

    @property
    def cost(self) -> str:
        """The measured costs of the technique, as a phrase."""
        return formatting.cost(self.experiment)

    @property
    def sentence(self) -> str:
        """What changed for users, and at what cost."""
        return formatting.sentence(self.experiment)

    @property
    def sides(self) -> tuple[str, str]:
        return sides(self.experiment)

    @property
    def colours(self) -> tuple[str, str]:
        """CSS variables of both arms."""
        return arm_variable(self.experiment.off.name, is_reference=True), arm_variable(self.experiment.on.name)

    @property
    def rate(self) -> str:
        return f"{self.experiment.rate_per_s:.3g}"

    @property
    def detectable(self) -> str:
        """The smallest detectable difference; empty if unknown."""
        smallest = self.headline_metric.detectable
        return f"{(smallest - 1) * 100:.0f} %" if smallest is not None and smallest < 2 else ""

    def metrics(self, *, of_kinds: bool) -> dict[str, MetricResult]:
        """Return the metrics of all requests or of single kinds, without those that are 0 in both arms."""
        experiment = self.experiment
        return {
            name: metric
            for name, metric in experiment.metrics.items()
            if ("." in name) == of_kinds and (metric.off or metric.on or name == experiment.headline)
        }

    @property
    def conditions(self) -> list[str]:
        return [comparison.condition_sentence(condition) for condition in self.experiment.conditions]

    @property
    def sent(self) -> list[list[str]]:
        """What was sent, as rows below `sent_head`; empty unless two services were compared."""
        return list(comparison.sent_rows(self.experiment))

    @property
    def sent_head(self) -> list[str]:
        return comparison.sent_head(self.experiment)

    @property
    def traces(self) -> Chart | None:
        """One request in both arms; None unless both exported spans."""
        arms = (self.experiment.off, self.experiment.on)
        traces = [(arm.name, arm.trace) for arm in arms if arm.trace is not None]
        if len(traces) < len(arms):
            return None
        caption = "; ".join(f"{arm}: {_counted(trace)}" for arm, trace in traces)
        return Chart(svg=waterfall(traces, name=f"{self.anchor} traces"), caption=caption)

    @property
    def profile(self) -> ProfileSection | None:
        return ProfileSection.of(self.experiment)

    @property
    def charts(self) -> list[Chart]:
        """The distribution of latencies, then the headline, latency and throughput by round."""
        experiment = self.experiment
        arms = {arm.name: arm.all_latencies() for arm in (experiment.off, experiment.on)}
        return [
            Chart(
                svg=charts.distributions(arms, name=f"{self.anchor} distributions"),
                caption="Further left is faster. The dots mark the p95.",
            ),
            Chart(
                svg=charts.over_rounds(experiment, experiment.headline, name=f"{self.anchor} rounds"),
                caption="Two level lines that are far apart show a difference; lines that cross do not.",
            ),
            *(
                Chart(svg=charts.over_rounds(experiment, metric, name=f"{self.anchor} {metric}"), caption="")
                for metric in ("p50_s", "throughput_per_s")
                if metric in experiment.metrics and metric != experiment.headline
            ),
        ]


def html(result: LabResult) -> str:
    pages = list(_pages(result))
    main = [page for page in pages if not page.part] or pages
    sweeps = [DrawnSweep.of(sweep) for sweep in result.sweeps.values()]
    render = page(
        "report.html.j2",
        quantity=formatting.quantity,
        effect=formatting.effect,
        interval=formatting.interval,
        cell=formatting.cell,
    )
    return render(
        result=result,
        title=_title(main, sweeps),
        lead=_lead(result),
        pages=pages,
        sweeps=sweeps,
        is_number=is_number,
        overview=_overview(main),
        forest=charts.forest([(_label(page), page.headline_metric) for page in pages], name="forest") if pages else "",
        facts=list(_facts(result)),
    )


def write(result: LabResult, path: Path) -> Path:
    """Write the result as JSON, then the report beside it; return the path of the report.

    The JSON comes first, so that an interruption of the drawing loses no measurement.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(result.model_dump_json(indent=2), encoding="utf-8")
    path.write_text(html(result), encoding="utf-8")
    return path


def _pages(result: LabResult) -> Iterator[Page]:
    for part, experiment in result.experiments():
        title = "" if part == "techniques" else PARTS[part]
        yield Page(anchor=f"{part}-{experiment.name}", part=title, experiment=experiment)


def _counted(trace: TraceResult) -> str:
    """Return the number of spans of a trace, and of its most frequent span."""
    total = sum(trace.spans_by_name.values())
    name, most = next(iter(trace.spans_by_name.items()))
    share = f", {most} of them “{name}”" if most > 1 else ""
    return f"{total} {'span' if total == 1 else 'spans'}{share}"


def _label(page: Page) -> str:
    return f"{page.experiment.name}, {page.part}" if page.part else page.experiment.name


def _title(pages: list[Page], sweeps: list[DrawnSweep]) -> str:
    if not pages:
        return sweeps[0].found.question if len(sweeps) == 1 else "Settings and their recommended values"
    if len(pages) == 1 and pages[0].experiment.off.techniques == pages[0].experiment.on.techniques:
        return pages[0].experiment.question.partition("?")[0] + "?"
    names = [page.experiment.title.partition(" (")[0].lower() for page in pages]
    if len(names) > 4:
        differing = [set(page.experiment.on.techniques) ^ set(page.experiment.off.techniques) for page in pages]
        return f"Effects of {len(set().union(*differing))} performance techniques"
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"Effects of {listed}"


def _lead(result: LabResult) -> str:
    when = datetime.fromisoformat(result.started_at)
    lead = (
        f"Measured on {when:%d %B %Y at %H:%M} UTC, in {result.duration_s:.0f} seconds, on {result.environment.cores} "
        "cores."
    )
    if result.distance_s:
        lead = f"{lead} {formatting.distance_sentence(result.distance_s, result.environment.servers)}"
    if not any(result.experiments()):
        return lead
    if any(is_between_services(experiment) for experiment in result.techniques.values()):
        return f"{lead} The same requests were sent to both services alternately."
    return f"{lead} The same requests were sent to a service without and with each technique alternately."


def _overview(pages: list[Page]) -> dict[str, object] | None:
    """Return one chart of all arms if all experiments share their reference and their traffic."""
    references = {(page.experiment.off.name, page.experiment.mix, page.experiment.rate_per_s) for page in pages}
    if len(pages) < 2 or len(references) > 1:
        return None
    arms: dict[str, Latencies] = {pages[0].experiment.off.name: pages[0].experiment.off.all_latencies()}
    arms |= {page.experiment.on.name: page.experiment.on.all_latencies() for page in pages}
    colours = [(arm, arm_variable(arm, is_reference=not position)) for position, arm in enumerate(arms)]
    return {"arms": colours, "svg": charts.distributions(arms, name="overview")}


def _facts(result: LabResult) -> Iterator[tuple[str, str]]:
    machine = result.environment
    yield "processor", f"{machine.processor}, {machine.cores} cores"
    yield "memory", formatting.quantity(float(machine.memory_bytes), "bytes")
    yield "system", machine.system
    yield "Python", machine.python
    yield from machine.servers.items()
    if result.distance_s:
        yield "round-trip time added to the servers", formatting.distance(result.distance_s)
    yield "packages", ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    if machine.load_average is not None:
        yield "load average at the start of the run", f"{machine.load_average:.2f}"
    yield "random seed of the traffic", str(result.seed)
