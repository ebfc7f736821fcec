"""Start here: the effect of each technique, and links to the other boards."""

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue, Panel

from grafana import units
from grafana.board import Board, Section
from grafana.boards.headlines import headlines
from grafana.links import START, board_link
from grafana.panels.heatmap import heatmap
from grafana.panels.stat import stat
from grafana.panels.table import Column, table
from grafana.panels.text import text
from grafana.panels.timeseries import logarithmic, time_series
from grafana.query import heatmap_query, instant, query, rows
from grafana.thresholds import above_is_bad, above_is_warning
from prometheus.slo import Objectives
from service.techniques import ARMS, CATALOGUE

GUIDE: Final = {
    "caching": ("Caching", "hit ratios, savings, staleness"),
    "pooling": ("Connection pooling", "connects, waits, connections in use"),
    "compression": ("Compression", "bytes by encoding and route, CPU, break-even link"),
    "database": ("Database", "queries per request, N+1 suspects, slow statements"),
    "async": ("Async and background", "blocking routes, threads, tasks"),
    "service": ("Service (RED and SLO)", "rate, errors, duration and SLOs of any application"),
    "runtime": ("Runtime and dependencies", "CPU, memory, garbage collection, upstream calls"),
    "monitoring": ("Self-monitoring", "scrapes, rules, notifications, cardinality"),
    "lab": ("Lab results", "effects with confidence intervals"),
    "advice": ("Advice", "what each technique would buy in a service"),
}
"""Every other board, and what it shows."""


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid=START,
        title="Start here",
        question="Which technique matters, by how much, and why?",
        sections=[
            Section(title="", panels=[*headlines(), _effects(), _alerts(), _guide()]),
            Section(title="Over time", panels=_over_time()),
            Section(
                title="Why? Click an exemplar to open its trace", panels=[_requests("baseline"), _requests("optimized")]
            ),
            Section(title="Arms", panels=[_arms()]),
        ],
        variables=("datasource",),
    ).build(objectives)


def _by_arm(series: str) -> str:
    return f'max by (arm) ({series}{{arm!=""}})'


def _effects() -> Builder[Panel]:
    return (
        table(
            "Cost of a request, by arm",
            "All arms get the same requests at the same rate; they differ only in their techniques (listed at the "
            "bottom). Compare each row with baseline: lower p50, p95, CPU, queries and bytes are better. Capacity "
            "per core is 1 / CPU per request: the rate of requests that fully uses one core.",
            Column(title="p50", query=rows(_by_arm("arm:latency_seconds:p50_rate5m")), unit=units.SECONDS, bar=True),
            Column(title="p95", query=rows(_by_arm("arm:latency_seconds:p95_rate5m")), unit=units.SECONDS, bar=True),
            Column(
                title="Requests",
                query=rows(_by_arm("arm:requests:rate5m")),
                unit=units.REQUESTS_PER_SECOND,
                decimals=1,
            ),
            Column(
                title="Capacity per core",
                query=rows(f"1 / {_by_arm('arm:cpu_seconds_per_request:ratio_rate5m')}"),
                unit=units.REQUESTS_PER_SECOND,
                decimals=1,
            ),
            Column(
                title="CPU / request",
                query=rows(_by_arm("arm:cpu_seconds_per_request:ratio_rate5m")),
                unit=units.SECONDS,
                bar=True,
            ),
            Column(
                title="Queries / request",
                query=rows(_by_arm("arm:queries_per_request:ratio_rate5m")),
                unit=units.COUNT,
                decimals=1,
                bar=True,
            ),
            Column(
                title="Bytes / response",
                query=rows(_by_arm("arm:response_bytes_per_request:ratio_rate5m")),
                unit=units.BYTES,
                bar=True,
            ),
            Column(title="Memory", query=rows(_by_arm("arm:resident_memory_bytes:max")), unit=units.BYTES, bar=True),
            key={"arm": "Arm"},
        )
        .span(24)
        .height(8)
    )


def _alerts() -> Builder[Panel]:
    def number(matchers: str) -> str:
        return f'count(ALERTS{{severity!="none", {matchers}}}) or vector(0)'

    return (
        stat(
            "Alerts",
            "Firing alerts: pages are about symptoms that users notice, tickets about causes that can wait for "
            "working hours; pending ones have not held for long enough yet. All zero is good; the board "
            "Self-monitoring lists them.",
            instant(number('alertstate="firing", severity="critical"'), "pages"),
            instant(number('alertstate="firing", severity="warning"'), "tickets"),
            instant(number('alertstate="pending"'), "pending"),
            unit=units.COUNT,
        )
        .links([board_link("flightdeck-monitoring", "Self-monitoring")])
        .thresholds(above_is_bad(1))
        .override_by_regexp("/tickets|pending/", [DynamicConfigValue("thresholds", above_is_warning(1).build())])
        .span(8)
        .height(5)
    )


def _guide() -> Builder[Panel]:
    entries = [f"**[{title}](/d/flightdeck-{name})** {what}" for name, (title, what) in GUIDE.items()]
    lines = [" · ".join(entries[at : at + 2]) for at in range(0, len(entries), 2)]
    return (
        text("All dashboards", "Links to every other board, with what it shows.", "  \n".join(lines)).span(16).height(5)
    )


def _over_time() -> list[Builder[Panel]]:
    return [
        logarithmic(
            "Response time, p50",
            "Half of the requests are faster. The axis is logarithmic: equal distances are equal factors. Gaps "
            "between baseline and the other arms are the effects of their techniques.",
            query(_by_arm("arm:latency_seconds:p50_rate5m"), "{{arm}}"),
            unit=units.SECONDS,
        ),
        logarithmic(
            "Response time, p95",
            "95% of the requests are faster. Caches show here less than in the median, because misses remain.",
            query(_by_arm("arm:latency_seconds:p95_rate5m"), "{{arm}}"),
            unit=units.SECONDS,
        ),
        time_series(
            "CPU per request",
            "Seconds of CPU for one request, everything included. Compression spends here what it saves in bytes.",
            query(_by_arm("arm:cpu_seconds_per_request:ratio_rate5m"), "{{arm}}"),
            unit=units.SECONDS,
        ).span(8),
        time_series(
            "Queries per request",
            "Database statements per request. Caching and eager loading lower it.",
            query(_by_arm("arm:queries_per_request:ratio_rate5m"), "{{arm}}"),
            unit=units.COUNT,
        ).span(8),
        time_series(
            "Bytes per response",
            "Body bytes on the wire. Compression, pagination and 304 responses lower it.",
            query(_by_arm("arm:response_bytes_per_request:ratio_rate5m"), "{{arm}}"),
            unit=units.BYTES,
        ).span(8),
        time_series(
            "Requests",
            "Completed requests per second. Equal lines mean that the comparison is fair; a lower line is an arm "
            "that cannot keep up.",
            query(_by_arm("arm:requests:rate5m"), "{{arm}}"),
            unit=units.REQUESTS_PER_SECOND,
        ).span(8),
        time_series(
            "Errors",
            "Responses per second with a status of 500 or more. Good is zero; anything else is worth a look.",
            query(_by_arm("arm:errors:rate5m"), "{{arm}}"),
            unit=units.REQUESTS_PER_SECOND,
        )
        .axis_soft_max(1)
        .span(8),
        time_series(
            "Memory",
            "Resident memory of the arm's largest process: the cost of caches and pools. It should level out.",
            query(_by_arm("arm:resident_memory_bytes:max"), "{{arm}}"),
            unit=units.BYTES,
        ).span(8),
    ]


def _requests(arm: str) -> Builder[Panel]:
    return heatmap(
        f"Departure boards on {arm}",
        "Response times of departure boards: the more requests, the stronger the cell. Dots are requests with a "
        "trace; click one to open it. A board on baseline runs hundreds of small queries, on optimized three or "
        "none.",
        heatmap_query(
            "sum by (le) (increase(http_response_last_byte_seconds_bucket"
            f'{{arm="{arm}", handler="/airports/{{faa}}/departures"}}[$__rate_interval]))'
        ),
        unit=units.SECONDS,
    )


def _arms() -> Builder[Panel]:
    titles = {technique.name: _within_a_sentence(technique.title) for technique in CATALOGUE}

    def having(techniques: frozenset[str]) -> str:
        if len(techniques) == len(titles):
            return f"all {len(titles)} techniques"
        return ", ".join(titles[name] for name in titles if name in techniques) or "no technique"

    lines = [f"- **{arm}**: {having(techniques)}" for arm, techniques in ARMS.items()]
    return (
        text(
            "Arms and their techniques",
            "Every arm is a process of the same service; these are the techniques that are switched on.",
            "\n".join(lines),
        )
        .span(24)
        .height(5)
    )


def _within_a_sentence(title: str) -> str:
    return title if title[1].isupper() else title[0].lower() + title[1:]
