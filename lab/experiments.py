"""The experiments as plain data: techniques, traffic, headline metric, negative control."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lab.core.errors import UnknownExperiment
from service.techniques import ARMS, CATALOGUE, NAMES

TITLES: Final = {technique.name: technique.title for technique in CATALOGUE} | {
    "caching": "Caching (all three levels)",
    "together": "All techniques together",
    "aa": "A/A run: two equal arms",
    "comparison": "B against A",
}


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A comparison of two arms that differ only in `techniques`."""

    name: str
    techniques: frozenset[str]
    question: str
    mix: str
    """The traffic that the technique applies to."""
    headline: str
    """The metric that gives the verdict."""
    costs: tuple[str, ...] = ()
    """The metrics that may get worse."""
    control: str = ""
    """Traffic of the negative control, which the technique should not affect."""

    upstream: tuple[str, ...] | None = None
    """Options of the upstream weather service; None: not needed."""
    has_worker: bool = False
    """Whether arms with a task queue get a worker."""
    required_settings: tuple[str, ...] = ()
    """Variables that name servers which the lab cannot start itself."""
    requirement: str = ""
    """Description of these servers."""

    @property
    def title(self) -> str:
        return TITLES.get(self.name, self.name)


EXPERIMENTS: Final = (
    Experiment(
        name="caching",
        techniques=ARMS["caching"],
        question="How much faster are reports with three levels of cache?",
        mix="reports",
        headline="p95_s",
        costs=("memory_bytes",),
        control="updates",
    ),
    Experiment(
        name="response_cache",
        techniques=frozenset({"response_cache"}),
        question="How much faster are reports and boards with a shared response cache?",
        mix="reports and boards",
        headline="p95_s",
        costs=("memory_bytes",),
        control="updates",
    ),
    Experiment(
        name="local_cache",
        techniques=frozenset({"local_cache"}),
        question="How much faster are reference data and distances with an in-process cache?",
        mix="reference",
        headline="p95_s",
        costs=("memory_bytes",),
        control="updates",
    ),
    Experiment(
        name="http_cache",
        techniques=frozenset({"http_cache"}),
        question="How many bytes does conditional caching save?",
        mix="reference",
        headline="bytes_per_response",
        costs=("cpu_per_request_s",),
        control="updates",
    ),
    Experiment(
        name="eager_loading",
        techniques=frozenset({"eager_loading"}),
        question="How many queries does eager loading save for a departure board?",
        mix="boards",
        headline="queries_per_request",
        control="reports",
    ),
    Experiment(
        name="deferred_columns",
        techniques=frozenset({"deferred_columns"}),
        question="How much faster are lists that read only the columns they return?",
        mix="lists",
        headline="p95_s",
        control="reports",
    ),
    Experiment(
        name="pagination",
        techniques=frozenset({"pagination"}),
        question="How many bytes does pagination save?",
        mix="lists",
        headline="bytes_per_response",
        control="reports",
    ),
    Experiment(
        name="indexes",
        techniques=frozenset({"indexes"}),
        question="How much faster are lists with secondary indexes, and what do the indexes cost?",
        mix="lists",
        headline="p95_s",
        costs=("memory_bytes",),
        control="single rows",
    ),
    Experiment(
        name="pooling",
        techniques=frozenset({"pooling"}),
        question="How many database connects does a connection pool avoid?",
        mix="single rows",
        headline="connects_per_request",
        costs=("memory_bytes",),
        control="reports",
    ),
    Experiment(
        name="read_replicas",
        techniques=frozenset({"read_replicas"}),
        question="How many of the primary's queries does a replica take over?",
        mix="everyday",
        headline="primary_queries_per_request",
        costs=("p95_s",),
        control="updates",
        required_settings=("DATABASE_URL", "DATABASE_REPLICA_URL"),
        requirement="PostgreSQL with a streaming replica (docs/postgresql.md)",
    ),
    Experiment(
        name="slim_responses",
        techniques=frozenset({"slim_responses"}),
        question="How many bytes do sparse responses save?",
        mix="lists",
        headline="bytes_per_response",
        control="reports",
    ),
    Experiment(
        name="compression",
        techniques=frozenset({"compression"}),
        question="How many bytes does compression save, and how much CPU does it cost?",
        mix="boards",
        headline="bytes_per_response",
        costs=("cpu_per_request_s",),
        control="updates",
    ),
    Experiment(
        name="background_tasks",
        techniques=frozenset({"background_tasks"}),
        question="How much faster is a status update that notifies subscribers after the response?",
        mix="updates",
        headline="p50_s",
        control="single rows",
    ),
    Experiment(
        name="async_io",
        techniques=frozenset({"async_io"}),
        question="How much do calls to the weather service delay other requests?",
        mix="weather and flights",
        headline="flight.p95_s",
        control="single rows",
        upstream=(),
    ),
    Experiment(
        name="connection_reuse",
        techniques=frozenset({"connection_reuse"}),
        question="How many connects to the upstream service does a shared client avoid?",
        mix="weather",
        headline="upstream_connects_per_request",
        control="single rows",
        upstream=(),
    ),
    Experiment(
        name="timeouts",
        techniques=frozenset({"timeouts"}),
        question="How high is the p99 latency when the weather service is sometimes very slow?",
        mix="weather",
        headline="p99_s",
        costs=("error_share",),
        control="single rows",
        upstream=("--median-ms", "50", "--p99-ms", "6000"),
    ),
    Experiment(
        name="offload",
        techniques=frozenset({"offload"}),
        question="How much do itinerary searches delay other requests?",
        mix="itineraries and flights",
        headline="flight.p95_s",
        control="single rows",
    ),
    Experiment(
        name="task_queue",
        techniques=frozenset({"task_queue"}),
        question="How much faster does an export request return if a worker creates the file?",
        mix="exports and flights",
        headline="export.p50_s",
        costs=("memory_bytes",),
        control="single rows",
        has_worker=True,
    ),
)

TOGETHER: Final = Experiment(
    name="together",
    techniques=frozenset(NAMES),
    question="How much faster is everyday traffic with all techniques together?",
    mix="everyday",
    headline="p95_s",
    costs=("memory_bytes",),
)

AA: Final = Experiment(
    name="aa",
    techniques=frozenset(),
    question="Does the lab report a difference between two equal arms? Both have all techniques.",
    mix="everyday",
    headline="p50_s",
)
"""The A/A run, which checks the lab itself."""

BY_NAME: Final = {experiment.name: experiment for experiment in (*EXPERIMENTS, TOGETHER)}


def select_experiments(names: Iterable[str]) -> list[Experiment]:
    """Return the experiments with these names, or `all`; raise `UnknownExperiment` for an unknown name."""
    wanted = list(dict.fromkeys(names)) or ["all"]
    if "all" in wanted:
        return [*BY_NAME.values()]
    aliases = BY_NAME | {"optimized": TOGETHER, AA.name: AA}
    unknown = set(wanted) - set(aliases)
    if unknown:
        raise UnknownExperiment(unknown, ["all", *aliases])
    return [aliases[name] for name in wanted]
