"""Requests drawn from a workload: the same stream is the same requests, in nearly exact proportions."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Self

from numpy.random import Generator

from lab.core.errors import BadTarget
from lab.traffic.popularity import Choice
from lab.traffic.traffic import GOLDEN_RATIO, Client, Request, population, seeded
from lab.workload.template import TOKEN, CompiledRequest, Drawn, Scope, compiled
from lab.workload.workload import Scalar, Workload

Rows = Sequence[Mapping[str, Scalar]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRequest(Request):
    """A request with its values; those of the client's session are missing."""

    compiled: CompiledRequest
    values: Drawn = field(default_factory=dict)


class PreparedWorkload:
    """A workload with its files read and its secrets known. Raise `BadTarget` where it cannot be sent."""

    def __init__(self, workload: Workload, environ: Mapping[str, str]) -> None:
        self._workload = workload
        self._rows: Rows = _rows(workload.csv) if workload.csv is not None else [{}]
        shared = frozenset(workload.values) | frozenset(self._rows[0])
        scope = Scope(where="login", names=shared, environ=environ)
        before = {name: value for name, value in workload.headers.items() if f"{{{TOKEN}}}" not in value}
        self.login = compiled(workload.login, scope, before) if workload.login is not None else None
        if workload.login is not None and workload.login.token:
            shared |= {TOKEN}
        self._requests = [
            compiled(
                request, replace(scope, where=request.kind, names=shared | frozenset(request.values)), workload.headers
            )
            for request in workload.requests
        ]
        self._choice = Choice(range(len(self._requests)), [request.weight for request in workload.requests])

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return the workload of this JSON with the secrets of this process."""
        return cls(Workload.model_validate_json(text), os.environ)

    def clients(self, seed: int) -> list[Client]:
        """Return the clients: each has its codings and its session, none a private cache or a slow link."""
        drawn = population(seeded(seed, 4), max(self._workload.clients, 1))
        return [replace(client, has_cache=False, link_bytes_per_s=None) for client in drawn]

    def values_of(self, client: Client) -> Drawn:
        """Return the values that a client has in every request, because its login needs them."""
        if self.login is None or not self.login.names:
            return {}
        values = {name: values[client.number % len(values)] for name, values in self._workload.values.items()}
        own = {name: value for name, value in values.items() if name in self.login.names}
        row = self._rows[client.number % len(self._rows)]
        return own | (dict(row) if not self.login.names.isdisjoint(row) else {})

    def requests(self, stream: int, *, seed: int) -> Iterator[WorkloadRequest]:
        """Yield the requests of a stream without end."""
        random = seeded(seed, 5, stream)
        clients = self.clients(seed)
        own = [self.values_of(client) for client in clients]
        drawn = [self._values(number, random) for number in range(len(self._requests))]
        share = float(random.random())
        while True:
            share = (share + GOLDEN_RATIO) % 1.0
            number = self._choice.at(share)
            request, template = self._requests[number], self._workload.requests[number]
            client = clients[int(random.integers(len(clients)))]
            yield WorkloadRequest(
                template.kind,
                template.method,
                template.path,
                client,
                compiled=request,
                values={**next(drawn[number]), **own[client.number]},
            )

    def _values(self, number: int, random: Generator) -> Iterator[dict[str, Scalar]]:
        """Yield the values of a request; every value of a list is drawn as often as the others, in a random order."""
        needed = self._requests[number].names
        lists = self._workload.values | self._workload.requests[number].values
        orders = {name: _order(len(values), random) for name, values in sorted(lists.items()) if name in needed}
        rows = _order(len(self._rows), random)
        has_row = not needed.isdisjoint(self._rows[0])
        while True:
            row = self._rows[next(rows)] if has_row else {}
            yield {**row, **{name: lists[name][next(order)] for name, order in orders.items()}}


@lru_cache(maxsize=4)
def decoded(text: str) -> PreparedWorkload:
    """Return the workload of this JSON; its files are read once per process."""
    return PreparedWorkload.decode(text)


def _order(count: int, random: Generator) -> Iterator[int]:
    """Yield each place once, then again in another order, so that two lists of one length are not in step."""
    while True:
        yield from (int(place) for place in random.permutation(count))


def _rows(path: Path) -> Rows:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restkey="", restval=None))
    except OSError as error:
        raise BadTarget(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadTarget(f"{path} is not a CSV file in UTF-8: {error}") from error
    if not rows:
        raise BadTarget(f"{path} has no rows below its header")
    for number, row in enumerate(rows, start=2):
        if "" in row or None in row.values():
            raise BadTarget(f"{path}: row {number} does not have as many cells as the header")
    return rows
