"""Compares a built kit with a running Prometheus and Grafana: every query has data, or a reason for having none."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal

import httpx

from lab.core.errors import LabError
from lab.kit.build import Extras, kit_files
from lab.kit.queries import Query, base_name, queries
from prometheus.duration import ACCELERATED, REAL, Clock
from prometheus.expression import series_in
from prometheus.parts import part_of
from prometheus.slo import Objectives

TIMEOUT_S: Final = 30.0
OF_PROMETHEUS: Final = frozenset(
    {"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added"}
)
DECLARED_LATE: Final = ("otelcol_",)
"""Prefixes of programs that expose a metric from its first event on, as OpenTelemetry's SDK does."""
ADDRESSES: Final = frozenset({"prometheus/prometheus.yml", "alertmanager/alertmanager.yml"})
"""Files in which addresses are changed by hand."""


class NotReachable(LabError):
    """Prometheus or Grafana does not respond as it should."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    kind: Literal["problem", "no data", "empty panel"]
    """A panel is empty if none of its queries has data, and each has a reason."""
    where: str
    text: str
    """The reason; of a problem with what to do."""


@dataclass(frozen=True, kw_only=True)
class Report:
    findings: list[Finding]
    checked: int
    """Queries."""
    panels: int
    """Panels with queries."""

    @property
    def problems(self) -> list[Finding]:
        return [one for one in self.findings if one.kind == "problem"]

    @property
    def empty_panels(self) -> list[Finding]:
        return [one for one in self.findings if one.kind == "empty panel"]


@dataclass
class Server:
    """The HTTP API of Prometheus, or of what speaks it: Mimir, Thanos, VictoriaMetrics."""

    client: httpx.Client
    _declared: set[str] = field(default_factory=set)

    def declared(self) -> set[str]:
        """Return the base names of every metric that a target declares, with or without series."""
        if not self._declared:
            self._declared = {base_name(name) for name in self.get("metadata")} | set(map(base_name, self._names()))
        return self._declared

    def exposes(self, name: str) -> bool:
        """Return whether a target exposes this metric, or will with its first event."""
        if base_name(name) in self.declared():
            return True
        late = [prefix for prefix in DECLARED_LATE if name.startswith(prefix)]
        return any(known.startswith(prefix) for prefix in late for known in self.declared())

    def _names(self) -> list[str]:
        names: list[str] = self.get("label/__name__/values")
        return names

    def has_data(self, expression: str) -> bool:
        return bool(self.get("query", query=expression)["result"])

    def rules(self) -> dict[str, str]:
        """Return the health of every loaded rule by its name."""
        groups = self.get("rules")["groups"]
        return {rule["name"]: rule.get("health", "ok") for group in groups for rule in group["rules"]}

    def get(self, path: str, **parameters: str) -> Any:
        try:
            response = self.client.get(f"/api/v1/{path}", params=parameters)
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NotReachable(f"{self.client.base_url} does not respond like Prometheus: {error}") from error
        if body.get("status") != "success":
            raise NotReachable(f"{self.client.base_url} rejects {parameters or path}: {body.get('error')}")
        return body["data"]


def check(objectives: Objectives, folder: Path, *, prometheus: str, grafana: str | None = None) -> Report:
    """Compare the kit in the folder with the servers; raise `NotReachable` if one does not respond."""
    files = {str(path.relative_to(folder)): path.read_text("utf-8") for path in _generated(folder)}
    # Accelerated rules have no tests.
    clock = REAL if any(path.startswith("prometheus/tests/") for path in files) else ACCELERATED
    every = list(queries(files, clock))
    with httpx.Client(base_url=prometheus, timeout=TIMEOUT_S) as client:
        server = Server(client)
        findings = [*_outdated(objectives, files, clock)]
        findings += [*_not_loaded(every, server), *_unlisted_parts(objectives, server)]
        findings += without_data(every, objectives, server)
    if grafana:
        findings += _missing_boards(objectives, files, grafana)
    panels = {query.where for query in every if query.is_of_panel}
    return Report(findings=findings, checked=len(every), panels=len(panels))


def _generated(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise NotReachable(f"there is no folder {folder}; write it first: flightdeck kit build")
    return [path for path in sorted(folder.rglob("*")) if path.suffix in {".yml", ".yaml", ".json", ".md"}]


def _outdated(objectives: Objectives, files: Mapping[str, str], clock: Clock) -> Iterator[Finding]:
    for path, text in kit_files(objectives, clock, Extras.of(files)).items():
        if path not in ADDRESSES and not path.endswith(".tmpl") and files.get(path) != text:
            yield Finding(kind="problem", where=path, text="differs from slo.toml; run flightdeck kit build")


def _not_loaded(every: list[Query], server: Server) -> Iterator[Finding]:
    loaded = server.rules()
    for name in dict.fromkeys(one.where.removeprefix("rule ") for one in every if one.where.startswith("rule ")):
        if name not in loaded:
            yield Finding(kind="problem", where=name, text="Prometheus has not loaded this rule; add it to rule_files")
        elif loaded[name] == "err":
            yield Finding(kind="problem", where=name, text="Prometheus cannot evaluate this rule; see its page Rules")


def _unlisted_parts(objectives: Objectives, server: Server) -> Iterator[Finding]:
    """Yield the parts of which the service has series while slo.toml does not list them."""
    names = server.get("label/__name__/values", **{"match[]": f"{{{objectives.slo_jobs}}}"})
    for part in sorted({part for name in names if (part := part_of(name))} - set(objectives.parts)):
        yield Finding(
            kind="problem", where="slo.toml", text=f"the service has metrics of {part}: add it to parts, then build"
        )


def without_data(every: Iterable[Query], objectives: Objectives, server: Server) -> Iterator[Finding]:
    """Yield why queries have no data; for a panel of which no query has any, all reasons at once."""
    for where, group in groupby(every, key=lambda query: query.where):
        of_one = list(group)
        found = [finding for query in of_one if (finding := _without_data(query, objectives, server))]
        is_empty = len(found) == len(of_one) and all(one.kind == "no data" for one in found)
        if of_one[0].is_of_panel and is_empty:
            yield Finding(kind="empty panel", where=where, text="; ".join(dict.fromkeys(one.text for one in found)))
        else:
            yield from found


def _without_data(query: Query, objectives: Objectives, server: Server) -> Finding | None:
    if server.has_data(query.expression):
        return None
    names = sorted(series_in(query.expression) - OF_PROMETHEUS)
    missing = [name for name in names if ":" not in name and not server.exposes(name)]
    if missing:
        parts = sorted({part for name in missing if (part := part_of(name))})
        if parts and not set(parts) & set(objectives.parts):  # of a runbook: one of several possible causes
            return Finding(kind="no data", where=query.where, text=f"the service has no {', '.join(parts)}")
        remove = f"; remove {', '.join(parts)} from parts if the service has none" if parts else ""
        return Finding(kind="problem", where=query.where, text=f"no target exposes {', '.join(missing)}{remove}")
    if query.is_alert:
        return None
    silent = [name for name in names if not server.has_data(name)]
    reason = (
        f"nothing has been counted in {', '.join(silent)} yet" if silent else "its condition holds for no series now"
    )
    return Finding(kind="no data", where=query.where, text=reason)


def _missing_boards(objectives: Objectives, files: Mapping[str, str], grafana: str) -> Iterator[Finding]:
    try:
        response = httpx.get(f"{grafana}/api/search", params={"tag": objectives.board_prefix}, timeout=TIMEOUT_S)
        response.raise_for_status()
        found = {one["uid"] for one in response.json()}
    except (httpx.HTTPError, ValueError) as error:
        raise NotReachable(f"{grafana} does not respond like Grafana: {error}") from error
    for path in files:
        if path.startswith("grafana/dashboards/"):
            uid = f"{objectives.board_prefix}-{Path(path).stem}"
            if uid not in found:
                yield Finding(kind="problem", where=uid, text="Grafana does not have this board; provision the folder")
