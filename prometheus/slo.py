"""`slo.toml` as typed objects: objectives by group of routes, limits, links."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from prometheus import duration
from prometheus.parts import EVERY, Part

PATH: Final = Path(__file__).parents[1] / "slo.toml"

Sli = Literal["availability", "latency"]
Job = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_./-]*$")]
Share = Annotated[float, Field(gt=0, lt=1)]


class InvalidObjectives(ValueError):
    """`slo.toml` is invalid; the message names each entry and what is allowed."""


def _checked_duration(value: object) -> str:
    duration.seconds(str(value))
    return str(value)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Availability(_Table):
    objective: Share
    """The share of requests that end without a server error."""


class Latency(_Table):
    objective: Share
    """The share of requests whose last byte is sent within `threshold_s`."""
    threshold_s: float = Field(gt=0)


class RouteGroup(_Table):
    """Routes with one objective of each kind; `rest` is every route that no other group lists."""

    title: str = Field(min_length=1)
    handlers: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["rest"]
    availability: Availability
    latency: Latency


class Links(_Table):
    """Where dashboards and runbooks are published, without a trailing slash."""

    dashboards: str = Field(pattern=r"^https?://.*[^/]$")
    runbooks: str = Field(pattern=r"^https?://.*[^/]$")
    receiver: str = Field(default="http://receiver:9095", pattern=r"^https?://.*[^/]$")
    """Where Alertmanager posts its notifications, below `/notifications/`."""


class Kubernetes(_Table):
    """Where the objects of the kit are, what they select, and what selects them."""

    namespace: str = Field(default="default", pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    """The namespace of the service's pods."""
    port: str = Field(default="metrics", min_length=1)
    """The name of the pods' port with metrics."""
    pods: dict[str, str] = Field(default_factory=dict)
    """Labels of the service's pods; by default `app.kubernetes.io/name` with `name`."""
    worker_pods: dict[str, str] = Field(default_factory=dict)
    """Labels of the workers' pods; by default those of the service with the component `worker`."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels by which the cluster's Prometheus and Alertmanager select objects."""


class Limits(_Table):
    """Thresholds of alerts on causes; the unit is in the name."""

    pool_wait_s: float = Field(gt=0)
    queries_per_request: float = Field(gt=0)
    loop_blocked_ratio: Share
    thread_occupancy_ratio: Share
    cache_hit_ratio_drop: Share
    cache_error_ratio: Share
    stampede_ratio: float = Field(gt=0)
    compression_link_mbit_s: float = Field(gt=0)
    compression_loss_ratio: Share
    replica_lag_s: float = Field(gt=0)
    upstream_failure_ratio: Share
    task_wait_s: float = Field(gt=0)
    task_failure_ratio: Share
    memory_growth_ratio: float = Field(gt=1)
    descriptor_ratio: Share
    shed_ratio: Share
    restarts: int = Field(ge=1)


class DisplayThresholds(_Table):
    """Thresholds at which dashboards change colour before an alert fires."""

    filling_ratio: Share
    nearly_full_ratio: Share
    server_connections_ratio: Share
    budget_left_ratio: Share


class Slo(_Table):
    name: str
    sli: Sli
    group: str
    objective: float
    threshold_s: float | None = None


class Objectives(_Table):
    jobs: tuple[Job, ...] = Field(min_length=1)
    worker_jobs: tuple[Job, ...] = ("worker",)
    """The jobs of Celery's workers."""
    targets: dict[Job, tuple[str, ...]] = Field(default_factory=dict)
    """The addresses with metrics of each job, `host:port`."""
    name: str = Field(default="", pattern=r"^([a-z][a-z0-9-]*)?$")
    """Begins the names of objectives and the uids of boards, for services that share a Prometheus and a Grafana."""
    arms: bool = False
    """Whether targets have the label `arm`, which distinguishes variants of the service that run side by side."""
    parts: tuple[Part, ...] = EVERY
    """What the service has: rules, alerts, panels and runbooks about other parts are left out."""
    alert_prefix: str = Field(default="", pattern=r"^([A-Z][A-Za-z0-9]*)?$")
    """Begins the name of every alert, so that it differs from the alerts of other rule files."""
    window: Annotated[str, BeforeValidator(_checked_duration)]
    min_failures: int = Field(ge=1)
    excluded: tuple[str, ...]
    links: Links
    kubernetes: Kubernetes = Kubernetes()
    groups: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], RouteGroup] = Field(min_length=1)
    limits: Limits
    display_thresholds: DisplayThresholds

    @model_validator(mode="after")
    def _each_route_is_in_one_place(self) -> Self:
        seen = dict.fromkeys(self.excluded, "excluded")
        rest = [name for name, group in self.groups.items() if group.handlers == "rest"]
        if len(rest) > 1:
            raise ValueError(f"groups {', '.join(rest)} are both `rest`: only one can be")
        for name, group in self.groups.items():
            for handler in group.handlers if group.handlers != "rest" else ():
                if handler in seen:
                    raise ValueError(f"{handler} is in {seen[handler]} and in {name}; a route belongs to one group")
                seen[handler] = name
        return self

    @property
    def slo_jobs(self) -> str:
        """PromQL matcher of the jobs that the objectives cover."""
        return self.job_matcher(*self.jobs)

    @staticmethod
    def job_matcher(*jobs: str) -> str:
        """Return the PromQL matcher of these jobs."""
        return f'job="{jobs[0]}"' if len(jobs) == 1 else f'job=~"{_any_of(jobs)}"'

    @property
    def board_prefix(self) -> str:
        """What the uid of every board begins with."""
        return self.name or "flightdeck"

    @property
    def strictest(self) -> float:
        """The highest availability objective."""
        return max(group.availability.objective for group in self.groups.values())

    def slos(self) -> Iterator[Slo]:
        """Yield the objectives, availability before latency, group by group."""
        for name, group in self.groups.items():
            prefix = f"{self.name}-{name}" if self.name else name
            yield Slo(
                name=f"{prefix}-availability", sli="availability", group=name, objective=group.availability.objective
            )
            yield Slo(
                name=f"{prefix}-latency",
                sli="latency",
                group=name,
                objective=group.latency.objective,
                threshold_s=group.latency.threshold_s,
            )

    def selector(self, group: str) -> str:
        """Return the PromQL matcher of the routes of a group."""
        handlers = self.groups[group].handlers
        if handlers != "rest":
            return f'handler=~"{_any_of(handlers)}"'
        named = [one for other in self.groups.values() if other.handlers != "rest" for one in other.handlers]
        return f'handler!~"{_any_of([*self.excluded, *named])}"'

    def thresholds_s(self) -> tuple[float, ...]:
        """Return the latency thresholds, ascending; each must be a bucket of the latency histogram."""
        return tuple(sorted({group.latency.threshold_s for group in self.groups.values()}))


def load(path: Path = PATH) -> Objectives:
    """Read the objectives; raise `InvalidObjectives` naming each invalid entry."""
    try:
        return parse(path.read_text(encoding="utf-8"), name=path.name)
    except FileNotFoundError as error:
        raise InvalidObjectives(f"there is no {path}; write one first: flightdeck kit init") from error
    except UnicodeDecodeError as error:
        raise InvalidObjectives(f"{path.name}: not UTF-8: {error}") from error


def parse(text: str, *, name: str) -> Objectives:
    """Return the objectives of a text in TOML; errors name the file and each invalid entry."""
    try:
        return Objectives.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidObjectives(f"{name}: {error}") from error
    except ValidationError as error:
        lines = [f"{name}: {'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()]
        raise InvalidObjectives("\n".join(lines)) from error


_ESCAPED: Final = {"\\": r"\\\\", "^": r"\\^", '"': r"\""}
"""In a pattern in a string of PromQL, which needs every backslash twice."""


def _any_of(handlers: tuple[str, ...] | list[str]) -> str:
    """Return a pattern of exactly these, escaped by brackets where that is possible: they read better."""
    return "|".join("".join(map(_literal, handler)) for handler in handlers)


def _literal(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    return character if re.escape(character) == character else f"[{character}]"
