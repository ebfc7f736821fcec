"""The experiments as plain data: which techniques, under which traffic, judged by what, where nothing should change."""

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
    """A comparison of two arms that differ in exactly these techniques."""

    name: str
    techniques: frozenset[str]
    question: str
    mix: str
    """The traffic that the technique applies to."""
    headline: str
    """The metric that decides the verdict."""
    costs: tuple[str, ...] = ()
    """The metrics that may get worse."""
    control: str = ""
    """Traffic where it should make no difference."""

    upstream: tuple[str, ...] | None = None
    """Options of the upstream weather service, where the experiment needs one."""
    has_worker: bool = False
    """Whether arms with a task queue need a worker."""
    required_settings: tuple[str, ...] = ()
    """The variables that name servers which the lab can not start by itself."""
    requirement: str = ""
    """What those servers are, in words."""

    @property
    def title(self) -> str:
        """The name as a person reads it."""
        return TITLES.get(self.name, self.name)


EXPERIMENTS: Final = (
    Experiment(
        name="caching",
        techniques=ARMS["caching"],
        question="Do three levels of cache spare the reports their computation?",
        mix="reports",
        headline="p95_s",
        costs=("memory_bytes",),
        control="updates",
    ),
    Experiment(
        name="response_cache",
        techniques=frozenset({"response_cache"}),
        question="What does a shared cache of finished answers spare reports and boards?",
        mix="reports and boards",
        headline="p95_s",
        costs=("memory_bytes",),
        control="updates",
    ),
    Experiment(
        name="local_cache",
        techniques=frozenset({"local_cache"}),
        question="What does a cache inside the process spare reference data and distances?",
        mix="reference",
        headline="p95_s",
        costs=("memory_bytes",),
        control="updates",
    ),
    Experiment(
        name="http_cache",
        techniques=frozenset({"http_cache"}),
        question="How many bytes do clients spare that keep what they got and ask whether it still holds?",
        mix="reference",
        headline="bytes_per_response",
        costs=("cpu_per_request_s",),
        control="updates",
    ),
    Experiment(
        name="eager_loading",
        techniques=frozenset({"eager_loading"}),
        question="What does loading related rows together spare the departure boards?",
        mix="boards",
        headline="queries_per_request",
        control="reports",
    ),
    Experiment(
        name="deferred_columns",
        techniques=frozenset({"deferred_columns"}),
        question="What does it spare to read only the columns that are answered?",
        mix="lists",
        headline="p95_s",
        control="reports",
    ),
    Experiment(
        name="pagination",
        techniques=frozenset({"pagination"}),
        question="What does answering a page instead of everything spare?",
        mix="lists",
        headline="bytes_per_response",
        control="reports",
    ),
    Experiment(
        name="indexes",
        techniques=frozenset({"indexes"}),
        question="What do secondary indexes spare lists, and what do they cost?",
        mix="lists",
        headline="p95_s",
        costs=("memory_bytes",),
        control="single rows",
    ),
    Experiment(
        name="pooling",
        techniques=frozenset({"pooling"}),
        question="What does keeping database connections spare?",
        mix="single rows",
        headline="connects_per_request",
        costs=("memory_bytes",),
        control="reports",
    ),
    Experiment(
        name="read_replicas",
        techniques=frozenset({"read_replicas"}),
        question="How much of the primary's work does a replica take over?",
        mix="everyday",
        headline="primary_queries_per_request",
        costs=("p95_s",),
        control="updates",
        required_settings=("DATABASE_URL", "DATABASE_REPLICA_URL"),
        requirement="PostgreSQL with a streaming replica, as docs/postgresql.md says",
    ),
    Experiment(
        name="slim_responses",
        techniques=frozenset({"slim_responses"}),
        question="How many bytes does it spare to leave out what is empty or was not asked for?",
        mix="lists",
        headline="bytes_per_response",
        control="reports",
    ),
    Experiment(
        name="compression",
        techniques=frozenset({"compression"}),
        question="How many bytes does compression spare the boards, and what CPU does it cost?",
        mix="boards",
        headline="bytes_per_response",
        costs=("cpu_per_request_s",),
        control="updates",
    ),
    Experiment(
        name="background_tasks",
        techniques=frozenset({"background_tasks"}),
        question="How much sooner is a status update answered if those who progress the flight are told after?",
        mix="updates",
        headline="p50_s",
        control="single rows",
    ),
    Experiment(
        name="async_io",
        techniques=frozenset({"async_io"}),
        question="How long do others wait while a request calls the weather service?",
        mix="weather and flights",
        headline="flight.p95_s",
        control="single rows",
        upstream=(),
    ),
    Experiment(
        name="connection_reuse",
        techniques=frozenset({"connection_reuse"}),
        question="What does keeping upstream connections spare?",
        mix="weather",
        headline="upstream_connects_per_request",
        control="single rows",
        upstream=(),
    ),
    Experiment(
        name="timeouts",
        techniques=frozenset({"timeouts"}),
        question="How long does the unluckiest wait when the weather service is sometimes very slow?",
        mix="weather",
        headline="p99_s",
        costs=("error_share",),
        control="single rows",
        upstream=("--median-ms", "50", "--p99-ms", "6000"),
    ),
    Experiment(
        name="offload",
        techniques=frozenset({"offload"}),
        question="How long do others wait while an itinerary is searched?",
        mix="itineraries and flights",
        headline="flight.p95_s",
        control="single rows",
    ),
    Experiment(
        name="task_queue",
        techniques=frozenset({"task_queue"}),
        question="How much sooner is an export answered if a worker makes it?",
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
    question="What do all techniques buy together, under everyday traffic?",
    mix="everyday",
    headline="p95_s",
    costs=("memory_bytes",),
)

AA: Final = Experiment(
    name="aa",
    techniques=frozenset(),
    question="Does the lab see a difference where there is none? Both arms have every technique.",
    mix="everyday",
    headline="p50_s",
)
"""The A/A run: the lab, examined by itself."""

BY_NAME: Final = {experiment.name: experiment for experiment in (*EXPERIMENTS, TOGETHER)}


def select_experiments(names: Iterable[str]) -> list[Experiment]:
    """Return the experiments of these techniques, arms, or `all`; raise `UnknownExperiment` for any other name."""
    wanted = list(dict.fromkeys(names)) or ["all"]
    if "all" in wanted:
        return [*BY_NAME.values()]
    aliases = BY_NAME | {"optimized": TOGETHER, AA.name: AA}
    unknown = set(wanted) - set(aliases)
    if unknown:
        raise UnknownExperiment(unknown, ["all", *aliases])
    return [aliases[name] for name in wanted]
