"""Observes an application's requests for the what-if metrics."""

from collections.abc import Awaitable, Mapping
from contextlib import suppress
from math import inf
from random import random
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from observability.request.record import RECORD, RequestRecord
from observability.whatif.body_trials import MIN_BYTES, BodyTrials, TrialCounts, best_coding, codings
from observability.whatif.cache_key import client_key, is_cacheable, response_key
from observability.whatif.digest import MASK, Digest
from observability.whatif.metrics import WhatIfMetrics
from observability.whatif.observation import Observation
from observability.whatif.pace import Pace
from observability.whatif.redis import RedisCounts, address, watch
from observability.whatif.route_counts import RouteCounts, ScanCounts
from observability.whatif.shadow_cache import AMOUNTS, OF_RESPONSES, Amounts, ShadowCache
from observability.whatif.transactions import TransactionCounts

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from observability.whatif.plans import Plans

TTLS_S: Final = (10.0, 60.0, 300.0, 3600.0)
SIZES: Final = (100, 1000, 10_000)
BOUNDED_TTL_S: Final = 60.0
CPU_SHARE: Final = 1 / 8
"""Share of the requests whose blocking steps have their CPU time measured."""

_COMPRESSIBLE: Final = (b"text/", b"application/json", b"application/javascript", b"application/xml", b"image/svg")


class WhatIf:
    """Observes requests and statements; `start()` and `stop()` are for the trials of bodies."""

    def __init__(self, registry: CollectorRegistry, *, explains: bool = False) -> None:
        self._digest = Digest()
        offered = codings()
        self._codings = tuple(offered)
        self._trials = BodyTrials(offered)
        self.routes: dict[str, RouteCounts] = {}
        self.trials: Mapping[str, TrialCounts] = self._trials.counts
        self.transactions = TransactionCounts()
        self.redis: dict[str, RedisCounts] = {}
        self.plans = _plans() if explains else None
        self._responses = ShadowCache(ttls_s=TTLS_S, sizes=SIZES, bounded_ttl_s=BOUNDED_TTL_S, amounts=OF_RESPONSES)
        self._clients = ShadowCache(ttls_s=(inf,), revalidates=True)
        self._statements = ShadowCache(ttls_s=TTLS_S)
        self.caches = {"response": self._responses, "client": self._clients, "statement": self._statements}
        self._pace = Pace()
        WhatIfMetrics(registry, self)

    def start(self) -> None:
        self._trials.start()

    def stop(self) -> None:
        self._trials.stop()

    def watch_engine(self, role: str, engine: "Engine") -> None:
        """Observe the statements of an engine."""
        from observability.whatif.statements import listen  # noqa: PLC0415 an extra

        listen(role, engine, digest=self._digest, transactions=self.transactions, plans=self.plans)

    def watch_redis(self, client: Any) -> None:
        """Observe the connections of a redis-py client; those of a cluster are not observed."""
        name = address(client)
        counts = self.redis.get(name) or RedisCounts()
        if watch(client, counts):
            self.redis[name] = counts

    def live_bytes(self) -> dict[str, list[float]]:
        """Drop what expired; return the bytes that a cache of responses would hold, by time to live."""
        now = monotonic()
        self._pace.relax()
        for cache in self.caches.values():
            cache.expire(now)
        return {"response": self._responses.live_bytes(now)}

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Return the application, observed."""
        secret, responses, clients = self._digest.secret, self._responses, self._clients
        pace, trials = self._pace, self._trials

        def observed(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            record: RequestRecord | None = scope.get(RECORD) if scope["type"] == "http" else None
            if record is None:
                return app(scope, receive, send)
            position = hash((secret, scope["path"], scope["query_string"])) & MASK
            is_sampled = responses.samples(position) or clients.samples(position)
            weight = pace.weight()
            if not (weight or is_sampled):
                return app(scope, receive, send)
            observation = record.whatif = Observation(send, position, weight)
            if is_sampled:
                observation.digest = secret
            if trials.reserve():
                observation.parts = []
            if random() < CPU_SHARE:  # noqa: S311 a sample, no secret
                observation.measures_cpu = True
            observation.work = app(scope, receive, observation.send)
            return observation

        return observed

    def observe(self, record: RequestRecord, *, handler: str, status: int | str, **_: object) -> None:
        """Count a finished request."""
        observation, record.whatif = record.whatif, None  # each refers to the other: only the collector could free both
        if observation is None:
            return
        counts = self.routes.get(handler)
        if counts is None:
            counts = RouteCounts({name: cache.counts() for name, cache in self.caches.items()})
            counts = self.routes.setdefault(handler, counts)
        seconds = (record.last_byte or record.first_byte or record.started) - record.started
        weight = observation.weight
        if weight:
            counts.requests += weight
            counts.seconds += weight * seconds
            if observation.blocking_s:
                counts.add_blocking(observation)
            if observation.statements:
                self._observe_statements(observation, counts)
        if status == 200 and record.scope["method"] == "GET" and not observation.is_opaque:
            self._observe_response(observation, handler, counts, record.scope, seconds)
        if observation.parts is not None:  # no trial took the body
            self._trials.release()

    def _observe_response(
        self, observation: Observation, handler: str, counts: RouteCounts, scope: Scope, seconds: float
    ) -> None:
        response, weight = dict(observation.headers), observation.weight
        if is_cacheable(response):
            amounts = (
                seconds,
                float(len(observation.statements or ())),
                float(observation.size_bytes),
                observation.blocking_s,
                observation.blocking_square_s,
            )
            if weight:
                counts.responses.add(weight, amounts)
            if observation.digest:
                self._look_up(observation, counts, scope, response.get(b"vary"), amounts)
        if weight and observation.size_bytes >= MIN_BYTES:
            self._observe_body(observation, handler, counts, scope)

    def _look_up(
        self, observation: Observation, counts: RouteCounts, scope: Scope, vary: bytes | None, amounts: Amounts
    ) -> None:
        request, now = dict(scope["headers"]), monotonic()
        position, value = observation.position, observation.digest
        key = response_key(self._digest, scope, request, vary)
        if self._responses.samples(position):
            counted = counts.caches["response"]
            self._responses.look_up(key, value, counted, position=position, now=now, amounts=amounts)
        if self._clients.samples(position):
            key, counted = client_key(key, scope, request), counts.caches["client"]
            self._clients.look_up(key, value, counted, position=position, now=now, amounts=amounts[:AMOUNTS])

    def _observe_statements(self, observation: Observation, counts: RouteCounts) -> None:
        cache, counted, now = self._statements, counts.caches["statement"], monotonic()
        weight = observation.weight
        executed: set[str] = set()
        scans = self.plans.scans if self.plans is not None else {}
        for text, key, seconds in observation.statements or ():
            counts.statement_s += weight * seconds
            if text in executed:
                counts.repeated += weight
                counts.repeated_s += weight * seconds
            executed.add(text)
            if text in scans:
                scan = scans[text]
                counts.scans.setdefault(scan.table, ScanCounts()).add(weight, seconds, scan)
            if key is not None:
                counts.statements.add(weight, (seconds, 1.0, 0.0))
                if cache.samples(key):
                    cache.look_up(key, 0, counted, position=key, now=now, amounts=(seconds, 1.0, 0.0))

    def _observe_body(self, observation: Observation, handler: str, counts: RouteCounts, scope: Scope) -> None:
        response = dict(observation.headers)
        kind = response.get(b"content-type", b"")
        if b"content-encoding" in response or not kind.startswith(_COMPRESSIBLE):
            return
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"").decode("latin-1")
        coding, size_bytes = best_coding(accepted, self._codings), observation.weight * observation.size_bytes
        counts.compressible_bytes[coding] = counts.compressible_bytes.get(coding, 0) + size_bytes
        if observation.parts is not None:
            body, observation.parts = b"".join(observation.parts), None
            self._trials.submit(handler, body, is_json=kind.startswith(b"application/json"))


def _plans() -> "Plans | None":
    """Return the plans of statements; None without SQLAlchemy, because there are none."""
    with suppress(ImportError):
        from observability.whatif.plans import Plans  # noqa: PLC0415 an extra

        return Plans()
    return None
