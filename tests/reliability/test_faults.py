"""Every dependency breaks under traffic, in every way, alone and two at a time."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
from sqlalchemy import URL

from tests.reliability.dependencies import FAULTS, Environment, Servers, running_environment
from tests.reliability.effort import Effort
from tests.reliability.traffic import READS, Journal, clients
from tests.servers.arm import BEARER
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.server("postgresql"),
    pytest.mark.server("rabbitmq"),
    pytest.mark.server("varnish"),
]

NAMES = ("primary", "replica", "redis", "rabbitmq", "upstream", "collector", "error server", "edge")
ALONE = [((name,), fault) for name in NAMES for fault in FAULTS]
PAIRS = [(pair, fault) for pair in itertools.combinations(NAMES, 2) for fault in ("stopped", "paused")]
SHORT = [
    (("primary",), "restarted"),
    (("redis",), "paused"),
    (("rabbitmq",), "stopped"),
    (("upstream",), "cut"),
    (("collector", "edge"), "paused"),
]

NORMAL_STATUSES = {kind: {200} for kind in (*READS, "update")} | {"export": {202}}
"""Without a fault in a dependency of the request."""
MAY_FAIL = {
    "primary": {"list", "board", "update", "export"},
    "rabbitmq": {"export"},
    "upstream": {"weather"},
}
"""The requests that a fault of a dependency may fail; other dependencies may fail none."""
MAX_LATENCY_S = 12.0
RECOVERY_S = 45.0


@pytest.fixture(scope="module")
def servers(
    postgres_server: PostgresServer,
    postgres_replica: PostgresServer,
    rabbitmq: RabbitServer,
    redis_program: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Servers]:
    redis = RedisServer(redis_program, tmp_path_factory.mktemp("redis"))
    redis.start()
    yield Servers(primary=postgres_server, replica=postgres_replica, redis=redis, rabbitmq=rabbitmq)
    redis.stop()


@pytest.fixture(scope="module")
def environment(
    servers: Servers,
    postgres_template: str,
    varnish_program: str,
    few_flights: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Environment]:
    servers.primary.run(f"CREATE DATABASE faults TEMPLATE {postgres_template} STRATEGY file_copy")
    database: URL = servers.primary.url("faults")
    try:
        with running_environment(
            servers,
            database=database,
            data_dir=few_flights,
            varnish_program=varnish_program,
            directory=tmp_path_factory.mktemp("world"),
        ) as running:
            yield running
    finally:
        servers.primary.run("DROP DATABASE faults WITH (FORCE)")


def cells() -> list[tuple[tuple[str, ...], str]]:
    return [*ALONE, *PAIRS] if Effort().is_full else [*SHORT]


@pytest.mark.parametrize(
    ("names", "fault"), cells(), ids=lambda one: one if isinstance(one, str) else " and ".join(one)
)
def test_a_fault_fails_only_requests_that_depend_on_it_and_loses_or_repeats_no_write(
    environment: Environment, effort: Effort, names: tuple[str, ...], fault: str
) -> None:
    with clients(environment.service.url) as journal:
        journal.wait_until_healthy(within_s=RECOVERY_S)
        journal.clear()
        try:
            for name in names:
                FAULTS[fault](environment.dependencies[name])
            sleep(effort.choose(2.5, 4.0))
            with journal.lock:
                during = {kind: (Counter(one.statuses), one.slowest_s) for kind, one in journal.by_kind.items()}
        finally:
            for name in names:
                environment.dependencies[name].restore()
        journal.in_a_row.clear()
        recovered_s = journal.wait_until_healthy(within_s=RECOVERY_S)
        overall = {kind: (Counter(one.statuses), one.slowest_s) for kind, one in journal.by_kind.items()}
    finished = settled(environment, journal)

    may_fail = set().union(*(MAY_FAIL.get(name, set()) for name in names))
    for kind, (statuses, slowest_s) in overall.items():
        assert statuses.keys() <= NORMAL_STATUSES[kind] | ({503} if kind in may_fail else set()), (kind, statuses)
        assert slowest_s < MAX_LATENCY_S, kind
    assert finished == Counter({"done": len(journal.exports)})
    assert recorded(environment, journal) == Counter(journal.updated)
    assert sorted(audited(environment)) == sorted(written(environment)), "including updates whose response was lost"
    effort.record(
        "faults",
        f"{' and '.join(names)} {fault}",
        responses="; ".join(f"{kind} {_counted(statuses)}" for kind, (statuses, _) in sorted(during.items())),
        slowest_s=round(max(slowest for _, slowest in overall.values()), 1),
        recovered_s=round(recovered_s, 1),
        updates_confirmed=len(journal.updated),
        exports_accepted=len(journal.exports),
    )


def settled(environment: Environment, journal: Journal) -> Counter[str]:
    """Return the final states of the accepted exports; each has exactly one file."""
    states: Counter[str] = Counter()
    with httpx.Client(base_url=environment.service.url, headers=BEARER, timeout=60) as client:
        for address in journal.exports:
            deadline = monotonic() + 90
            while (export := client.get(address).json()).get("state") in {"queued", "running"}:
                assert monotonic() < deadline, export
                sleep(0.1)
            states[export["state"]] += 1
            files = [file for file in environment.exports.glob(f"{export['id']}.*") if file.suffix != ".partial"]
            assert len(files) == 1, files
    return states


def recorded(environment: Environment, journal: Journal) -> Counter[tuple[int, int]]:
    """Return how often the audit trail has each update that was confirmed to a client."""
    confirmed = set(journal.updated)
    changes = Counter(audited(environment))
    return Counter({change: count for change, count in changes.items() if change in confirmed})


def audited(environment: Environment) -> list[tuple[int, int]]:
    """Return flight and version of every row of the audit trail."""
    rows = environment.primary.run(
        "SELECT flight_id, version FROM status_changes", database=environment.database
    ).split()
    return [(int(flight), int(version)) for flight, version in (row.split("|") for row in rows)]


def written(environment: Environment) -> set[tuple[int, int]]:
    """Return flight and version of every version that any flight has reached."""
    reached = "SELECT id, generate_series(2, version) FROM flights WHERE version > 1"
    rows = environment.primary.run(reached, database=environment.database).split()
    return {(int(flight), int(version)) for flight, version in (row.split("|") for row in rows)}


def _counted(statuses: Counter[int]) -> str:
    return ", ".join(f"{count} of {status}" for status, count in sorted(statuses.items()))
