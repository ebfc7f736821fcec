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
    """The metric that gives the verdict; the catalogue of techniques has the reason."""
    case: str = ""
    """How this traffic makes the technique's case, as users would meet it."""
    base: frozenset[str] = frozenset()
    """Techniques of both arms: without them the examined one has nothing to act on, or its effect disappears in the
    cost of work that nearly every service avoids."""
    limits: str = ""
    """Why no difference may be seen on this data, and where there is one."""
    costs: tuple[str, ...] = ()
    """The metrics that may get worse."""
    control: str = ""
    """Traffic of the negative control, which the technique should not affect."""

    expects_statuses: bool = False
    """Whether the requests name the statuses that they expect; otherwise a few 404 are no rejections."""
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
        headline="mean_s",
        case="A few dashboards request the same reports again and again.",
        costs=("memory_bytes",),
        control="updates",
    ),
    Experiment(
        name="response_cache",
        techniques=frozenset({"response_cache"}),
        question="How much faster are reports and boards with a shared response cache?",
        mix="reports and boards",
        headline="mean_s",
        case="Popular reports and boards are requested again within their time to live; rare ones miss.",
        costs=("memory_bytes",),
        control="updates",
    ),
    Experiment(
        name="local_cache",
        techniques=frozenset({"local_cache"}),
        question="How much faster are reference data and distances with an in-process cache?",
        mix="reference",
        headline="mean_s",
        case="Airports and airlines hardly ever change, and every client needs them.",
        costs=("memory_bytes",),
        control="updates",
    ),
    Experiment(
        name="http_cache",
        techniques=frozenset({"http_cache"}),
        base=frozenset({"eager_loading", "indexes", "pagination"}),
        question="How many bytes and requests do the caches of returning readers save?",
        mix="returning readers",
        headline="bytes_per_request",
        case="Half of the page views are returns to one of a reader's last pages: a browser sends nothing while its "
        "copy is fresh, and then gets a 304.",
        costs=("cpu_per_request_s",),
        control="updates",
    ),
    Experiment(
        name="eager_loading",
        techniques=frozenset({"eager_loading"}),
        question="How many queries does eager loading save for a departure board?",
        mix="boards",
        headline="queries_per_request",
        case="A board shows a hundred flights, each with its airline, aircraft and destination.",
        control="reports",
    ),
    Experiment(
        name="deferred_columns",
        techniques=frozenset({"deferred_columns"}),
        base=frozenset({"indexes"}),
        question="How much CPU do lists save that read only the columns they return?",
        mix="lists",
        headline="cpu_per_request_s",
        case="A list has up to 2,500 rows, each with a source record of 326 bytes that no response shows.",
        limits="A list spends its CPU time on its objects and their JSON, and SQLite finds the source record on the "
        "page that it has read for the row. The saving grows with the size of the columns and with the distance to "
        "the database; PostgreSQL stores values beyond two kilobytes in another table.",
        control="reports",
    ),
    Experiment(
        name="pagination",
        techniques=frozenset({"pagination"}),
        question="How many bytes does pagination save?",
        mix="lists",
        headline="bytes_per_request",
        case="A list without a limit is every matching row, up to a week of an airport; 40 % of readers go on reading.",
        control="reports",
    ),
    Experiment(
        name="indexes",
        techniques=frozenset({"indexes"}),
        question="How much faster are lists with secondary indexes, and what do the indexes cost?",
        mix="lists",
        headline="mean_s",
        case="A list filters a week out of a year of flights.",
        costs=("memory_bytes",),
        control="single rows",
    ),
    Experiment(
        name="pooling",
        techniques=frozenset({"pooling"}),
        question="How many database connects does a connection pool avoid?",
        mix="single rows",
        headline="connects_per_request",
        case="Short reads, one connection each.",
        costs=("memory_bytes",),
        control="reports",
    ),
    Experiment(
        name="read_replicas",
        techniques=frozenset({"read_replicas"}),
        question="How many of the primary's queries does a replica take over?",
        mix="everyday",
        headline="primary_queries_per_request",
        case="Everyday reads with a few updates.",
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
        headline="bytes_per_request",
        case="30 % of readers name the fields they need; the others get no nulls.",
        control="reports",
    ),
    Experiment(
        name="compression",
        techniques=frozenset({"compression"}),
        question="How many bytes does compression save, and how much CPU does it cost?",
        mix="boards",
        headline="bytes_per_request",
        case="Boards of a hundred flights; 98 % of clients accept a coding.",
        costs=("cpu_per_request_s",),
        control="updates",
    ),
    Experiment(
        name="background_tasks",
        techniques=frozenset({"background_tasks"}),
        base=frozenset({"pooling"}),
        question="How much faster is a status update that notifies subscribers after the response?",
        mix="updates",
        headline="p50_s",
        case="Updates of flights with subscribers, which are notified before or after the response.",
        control="single rows",
    ),
    Experiment(
        name="async_io",
        techniques=frozenset({"async_io"}),
        question="How much do calls to the weather service delay other requests?",
        mix="weather and flights",
        headline="flight.mean_s",
        case="Every second request calls the weather service for 25 ms, and the other ones wait for the event loop.",
        control="single rows",
        upstream=(),
    ),
    Experiment(
        name="connection_reuse",
        techniques=frozenset({"connection_reuse"}),
        question="How many connects to the upstream service does a shared client avoid?",
        mix="weather",
        headline="upstream_connects_per_request",
        case="Every request calls the weather service.",
        control="single rows",
        upstream=(),
    ),
    Experiment(
        name="timeouts",
        techniques=frozenset({"timeouts"}),
        base=frozenset({"async_io", "connection_reuse"}),
        question="How long do requests take when some calls to the weather service hang?",
        mix="weather",
        headline="mean_s",
        case="Every eighth call hangs for 4 s, as when one of eight instances of the weather service does. "
        "Without async_io no deadline would end the call.",
        costs=("error_share",),
        control="single rows",
        upstream=("--hang-s", "4", "--hang-share", "0.125"),
    ),
    Experiment(
        name="offload",
        techniques=frozenset({"offload"}),
        base=frozenset({"eager_loading", "indexes", "pooling"}),
        question="How long do itinerary searches keep the event loop from its other work?",
        mix="itineraries and flights",
        headline="loop_lag_mean_s",
        case="One request in seven is an itinerary search, during which the event loop serves no other.",
        control="single rows",
    ),
    Experiment(
        name="task_queue",
        techniques=frozenset({"task_queue"}),
        base=frozenset({"eager_loading", "indexes", "pooling"}),
        question="How much faster does an export request return if a worker creates the file?",
        mix="exports and flights",
        headline="export.p50_s",
        case="Three requests in ten export a month of flights.",
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
    headline="mean_s",
    case="Everything that clients request in a day, reads and a few updates.",
    costs=("memory_bytes",),
)

AA: Final = Experiment(
    name="aa",
    techniques=frozenset(),
    question="Does the lab report a difference between two equal arms? Both have all techniques.",
    mix="everyday",
    headline="typical_s",
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
