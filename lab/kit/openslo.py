"""Objectives as OpenSLO v1, written from `slo.toml` and read into it.

A group of routes is two SLOs, of availability and of latency, whose ratio counts the requests of its routes. What else
OpenSLO can say, or count, has no place in `slo.toml`: it is an error that names the object.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from lab.core.errors import LabError
from prometheus.burn_rate import SERVED
from prometheus.duration import UNITS_S, seconds
from prometheus.expression import Selector, selectors
from prometheus.promql import LATENCY, bucket
from prometheus.slo import Availability, Latency, Objectives, RouteGroup, Slo

Json = dict[str, Any]

FILE: Final = "openslo.yaml"
VERSION: Final = "openslo/v1"
REQUESTS: Final = "http_requests_total"
KINDS: Final = ("Service", "SLI", "SLO")
METHOD: Final = "Occurrences"
STATUSES: Final[Mapping[str, Sequence[str]]] = {
    "status": ("2xx", "3xx", "4xx", "5xx"),
    "code": ("200", "304", "404", "500"),
}
"""Values of the labels of a request's status, the server error last."""
_WINDOW: Final = re.compile(r"[1-9]\d*[mhdw]")
_PIECE: Final = re.compile(r"\[(?P<quoted>[^\]])\]|\\(?P<escaped>\W)|(?P<plain>[^\\|.*+?()\[\]{}^$])|(?P<next>\|)")


class OpenSloError(LabError):
    """The objectives cannot be said in the other format; the message names the object and what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What `slo.toml` has from OpenSLO."""

    jobs: tuple[str, ...]
    """Empty if the queries name none."""
    window: str
    excluded: tuple[str, ...]
    groups: Mapping[str, RouteGroup]


@dataclass(frozen=True, kw_only=True)
class _Ratio:
    """One SLO as it was read."""

    name: str
    title: str
    objective: float
    window: str
    jobs: tuple[str, ...]
    handlers: tuple[str, ...]
    is_rest: bool
    """Whether the routes are all others than the handlers."""
    threshold_s: float | None


def openslo_text(objectives: Objectives) -> str:
    """Return a service and its SLOs; raise `OpenSloError` for a window that OpenSLO has no unit for."""
    service = {"description": f"The HTTP requests of {', '.join(objectives.jobs)}."}
    documents = [_object("Service", objectives.board_prefix, objectives.board_prefix, service)]
    documents += [_slo(objectives, slo) for slo in objectives.slos()]
    return "---\n".join(yaml.safe_dump(one, sort_keys=False, allow_unicode=True, width=10_000) for one in documents)


def _object(kind: str, name: str, title: str, spec: Json) -> Json:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name, "displayName": title}, "spec": spec}


def _slo(objectives: Objectives, slo: Slo) -> Json:
    name = slo.name.replace("_", "-")
    routes = f"{objectives.slo_jobs}, {objectives.selector(slo.group)}"
    good = f'{REQUESTS}{{{routes}, status!~"5xx|client_disconnected"}}'
    total = f"{REQUESTS}{{{routes}, {SERVED}}}"
    description = "Requests without a server error."
    if slo.threshold_s is not None:
        good = f"{LATENCY}_bucket{{{routes}, {bucket(slo.threshold_s)}}}"
        total = f"{LATENCY}_count{{{routes}}}"
        description = f"Requests whose last byte is sent within {slo.threshold_s:g} s."
    ratio = {"counter": True, "good": _source(good), "total": _source(total)}
    spec = {
        "description": description,
        "service": objectives.board_prefix,
        "indicator": {"metadata": {"name": name}, "spec": {"ratioMetric": ratio}},
        "timeWindow": [{"duration": _shorthand(objectives.window), "isRolling": True}],
        "budgetingMethod": METHOD,
        "objectives": [{"displayName": description, "target": slo.objective}],
    }
    return _object("SLO", name, objectives.groups[slo.group].title, spec)


def _source(selector: str) -> Json:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": f"sum({selector})"}}}


def _shorthand(window: str) -> str:
    """Return the window in the largest unit of OpenSLO's shorthand that divides it."""
    total_s = seconds(window)
    for unit in "dhm":
        if total_s % UNITS_S[unit] == 0:
            return f"{total_s // UNITS_S[unit]}{unit}"
    raise OpenSloError(f"the window {window} is no whole number of minutes, which OpenSLO needs")


def imported(text: str) -> Imported:
    """Return the objectives of a file; raise `OpenSloError` naming the object that has no place in `slo.toml`."""
    try:
        documents: list[Json] = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        raise OpenSloError(f"not YAML: {error}") from error
    try:
        ratios = list(_ratios(documents))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OpenSloError(f"not as the specification of OpenSLO v1 says: {error!r}") from error
    if not ratios:
        raise OpenSloError("there is no SLO in it")
    windows, jobs = {one.window for one in ratios}, {one.jobs for one in ratios}
    if len(windows) > 1:
        raise OpenSloError(f"the SLOs have the windows {', '.join(sorted(windows))}; slo.toml has one")
    if len(jobs) > 1:
        raise OpenSloError("the SLOs are about different jobs; slo.toml describes one service")
    groups = dict(_groups(ratios))
    named = {handler for group in groups.values() if group.handlers != "rest" for handler in group.handlers}
    others = dict.fromkeys(handler for one in ratios if one.is_rest for handler in one.handlers if handler not in named)
    return Imported(jobs=jobs.pop(), window=windows.pop(), excluded=tuple(others), groups=groups)


def _groups(ratios: Sequence[_Ratio]) -> Iterator[tuple[str, RouteGroup]]:
    """Yield the groups by name: an availability and a latency objective of the same routes."""
    by_routes: dict[tuple[bool, tuple[str, ...]], list[_Ratio]] = {}
    for one in ratios:
        by_routes.setdefault((one.is_rest, one.handlers), []).append(one)
    for (is_rest, handlers), members in by_routes.items():
        names = " and ".join(one.name for one in members)
        availability = [one for one in members if one.threshold_s is None]
        latency = [(one, one.threshold_s) for one in members if one.threshold_s is not None]
        if len(availability) != 1 or len(latency) != 1:
            raise OpenSloError(
                f"{names}: routes need one objective of availability and one of latency in slo.toml, "
                f"and have {len(availability)} and {len(latency)}"
            )
        [first], [(second, threshold_s)] = availability, latency
        yield (
            _group_name(first.name),
            RouteGroup(
                title=first.title,
                handlers="rest" if is_rest else handlers,
                availability=Availability(objective=first.objective),
                latency=Latency(objective=second.objective, threshold_s=threshold_s),
            ),
        )


def _group_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.removesuffix("-availability").lower()).strip("_")


def _ratios(documents: Sequence[Json]) -> Iterator[_Ratio]:
    for one in documents:
        if one["apiVersion"] != VERSION:
            raise OpenSloError(f"{_named(one)} has the version {one['apiVersion']}; {VERSION} is read")
        if one["kind"] not in KINDS:
            raise OpenSloError(f"{_named(one)} has no place in slo.toml, whose alerts follow from the objectives")
    services = {one["spec"]["service"] for one in documents if one["kind"] == "SLO"}
    if len(services) > 1:
        raise OpenSloError(f"the SLOs are about {', '.join(sorted(services))}; slo.toml describes one service")
    indicators = {one["metadata"]["name"]: one for one in documents if one["kind"] == "SLI"}
    for one in documents:
        if one["kind"] == "SLO":
            yield _ratio(one, indicators, prefix=f"{one['spec']['service']}-")


def _named(one: Json) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def _ratio(slo: Json, indicators: Mapping[str, Json], *, prefix: str) -> _Ratio:
    spec, where = slo["spec"], _named(slo)
    if spec.get("alertPolicies"):
        raise OpenSloError(f"{where} has alert policies; in slo.toml alerts follow from the objective")
    if spec["budgetingMethod"] != METHOD:
        raise OpenSloError(f"{where} has the budgeting method {spec['budgetingMethod']}; slo.toml counts occurrences")
    if len(spec["objectives"]) != 1:
        raise OpenSloError(f"{where} has {len(spec['objectives'])} objectives; slo.toml has one for each indicator")
    indicator = spec.get("indicator") or indicators.get(spec.get("indicatorRef", ""))
    if not indicator:
        raise OpenSloError(f"{where} refers to the SLI {spec.get('indicatorRef')}, which is not in the file")
    ratio = indicator["spec"].get("ratioMetric", {})
    if not {"good", "total"} <= ratio.keys():
        raise OpenSloError(f"{where} has no ratioMetric with good and total, which slo.toml needs")
    good, total = (_selector(ratio[side], where=f"{where}, {side}") for side in ("good", "total"))
    if _routes(good, where) != _routes(total, where) or _jobs(good) != _jobs(total):
        raise OpenSloError(f"{where} counts good requests of other routes or jobs than all requests")
    [objective] = spec["objectives"]
    handlers, is_rest = _routes(total, where)
    name = slo["metadata"]["name"]
    return _Ratio(
        name=name.removeprefix(prefix),
        title=slo["metadata"].get("displayName") or name,
        objective=objective["target"] if "target" in objective else round(objective["targetPercent"] / 100, 9),
        window=_window(spec.get("timeWindow", [{}]), where),
        jobs=_jobs(total),
        handlers=handlers,
        is_rest=is_rest,
        threshold_s=_threshold_s(good, total, where),
    )


def _window(windows: Sequence[Json], where: str) -> str:
    [window] = windows
    duration = str(window.get("duration", ""))
    if not window.get("isRolling") or not _WINDOW.fullmatch(duration):
        raise OpenSloError(f"{where} has no rolling time window of minutes, hours, days or weeks, which slo.toml needs")
    return duration


def _selector(side: Json, *, where: str) -> Selector:
    """Return the only selector of the query of a side of a ratio."""
    query = side["metricSource"]["spec"].get("query")
    try:
        found = selectors(query)
    except (TypeError, ValueError) as error:
        raise OpenSloError(f"{where}: {query!r} is not a query of Prometheus: {error}") from error
    if len(found) != 1:
        raise OpenSloError(f"{where}: {query} reads {len(found)} series; a sum over one counter can be read")
    if unknown := found[0].matchers.keys() - {"job", "handler", "le", *STATUSES}:
        raise OpenSloError(f"{where}: {query} selects by {', '.join(sorted(unknown))}; slo.toml selects by route")
    return found[0]


def _threshold_s(good: Selector, total: Selector, where: str) -> float | None:
    """Return the threshold of an objective of latency, None of availability."""
    if good.name == total.name == REQUESTS:
        if any(_statuses(total)) and not all(_statuses(total)):
            raise OpenSloError(f"{where} leaves responses out of the total by their status; slo.toml covers all")
        if [*_statuses(good)] != [True, True, True, False]:
            raise OpenSloError(f"{where} counts other requests as good than those without a server error")
        return None
    if (good.name, total.name) != (f"{LATENCY}_bucket", f"{LATENCY}_count"):
        raise OpenSloError(
            f"{where} divides {good.name} by {total.name}; the kit counts {REQUESTS} by status, "
            f"or {LATENCY}_bucket by le and {LATENCY}_count"
        )
    threshold = re.fullmatch(r"([\d.]+?)(?:\(\[\.\]0\)\?|\.0)?", good.matchers.get("le", ("", ""))[1])
    if not threshold:
        raise OpenSloError(f"{where} counts good requests of no single bucket `le`")
    return float(threshold[1])


def _statuses(selector: Selector) -> Iterator[bool]:
    """Yield of each class of statuses whether the selector counts it."""
    label = next((one for one in STATUSES if one in selector.matchers), "status")
    for value in STATUSES[label]:
        yield label not in selector.matchers or _matches(value, *selector.matchers[label])


def _matches(value: str, operator: str, wanted: str) -> bool:
    found = value == wanted if operator in {"=", "!="} else re.fullmatch(wanted, value) is not None
    return found != operator.startswith("!")


def _routes(selector: Selector, where: str) -> tuple[tuple[str, ...], bool]:
    """Return handlers, and whether all others are meant."""
    if "handler" not in selector.matchers:
        return (), True
    operator, pattern = selector.matchers["handler"]
    try:
        handlers = [pattern] if operator in {"=", "!="} else list(_alternatives(pattern))
    except ValueError as error:
        raise OpenSloError(f"{where} selects routes by the pattern {pattern}; slo.toml lists them") from error
    return tuple(handlers), operator.startswith("!")


def _jobs(selector: Selector) -> tuple[str, ...]:
    operator, pattern = selector.matchers.get("job", ("", ""))
    return tuple(_alternatives(pattern)) if operator == "=~" else (pattern,) if operator == "=" else ()


def _alternatives(pattern: str) -> Iterable[str]:
    """Return the texts of which a regular expression is a list; raise `ValueError` for any other one."""
    texts, position = [""], 0
    while position < len(pattern):
        if not (found := _PIECE.match(pattern, position)):
            raise ValueError(pattern)
        if found["next"]:
            texts.append("")
        else:
            texts[-1] += found["quoted"] or found["escaped"] or found["plain"]
        position = found.end()
    return texts
