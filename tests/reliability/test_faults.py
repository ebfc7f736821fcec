"""Every dependency breaks under traffic, in every way, alone and two at a time."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
from sqlalchemy import URL

from tests.reliability.dependencies import FAULTS, Servers, World, running_world
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

ANSWERS = {kind: {200} for kind in (*READS, "update")} | {"export": {202}}
"""What clients are told while nothing that the request needs is broken."""
MAY_FAIL = {
    "primary": {"list", "board", "update", "export"},
    "rabbitmq": {"export"},
    "upstream": {"weather"},
}
"""What a broken dependency may make unavailable; those that are left out cost no answer."""
LONGEST_S = 12.0
RECOVERY_S = 45.0


@pytest.fixture(scope="module")
def servers(
    postgres_server: PostgresServer,
    postgres_replica: PostgresServer,
    rabbitmq: RabbitServer,
    redis_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Servers]:
    redis = RedisServer(redis_program, tmp_path_factory.mktemp("redis"))
    redis.start()
    yield Servers(primary=postgres_server, replica=postgres_replica, redis=redis, rabbitmq=rabbitmq)
    redis.stop()


@pytest.fixture(scope="module")
def world(
    servers: Servers,
    postgres_template: str,
    varnish_program: Path,
    few_flights: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    servers.primary.run(f"CREATE DATABASE faults TEMPLATE {postgres_template} STRATEGY file_copy")
    database: URL = servers.primary.url("faults")
    try:
        with running_world(
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
def test_a_fault_costs_what_it_must_and_nothing_is_lost_or_written_twice(
    world: World, effort: Effort, names: tuple[str, ...], fault: str
) -> None:
    with clients(world.service.url) as journal:
        journal.wait_until_all_is_well(within_s=RECOVERY_S)
        journal.new_page()
        try:
            for name in names:
                FAULTS[fault](world.dependencies[name])
            sleep(effort.choose(2.5, 4.0))
            with journal.lock:
                during = {kind: (Counter(one.statuses), one.slowest_s) for kind, one in journal.said.items()}
        finally:
            for name in names:
                world.dependencies[name].restore()
        journal.in_a_row.clear()
        recovered_s = journal.wait_until_all_is_well(within_s=RECOVERY_S)
        overall = {kind: (Counter(one.statuses), one.slowest_s) for kind, one in journal.said.items()}
    finished = settled(world, journal)

    may_fail = set().union(*(MAY_FAIL.get(name, set()) for name in names))
    for kind, (statuses, slowest_s) in overall.items():
        assert statuses.keys() <= ANSWERS[kind] | ({503} if kind in may_fail else set()), (kind, statuses)
        assert slowest_s < LONGEST_S, kind
    assert finished == Counter({"done": len(journal.exports)})
    assert recorded(world, journal) == Counter(journal.updated)
    assert sorted(audited(world)) == sorted(written(world)), "also of updates whose outcome no client learned"
    effort.record(
        "faults",
        f"{' and '.join(names)} {fault}",
        responses="; ".join(f"{kind} {_counted(statuses)}" for kind, (statuses, _) in sorted(during.items())),
        slowest_s=round(max(slowest for _, slowest in overall.values()), 1),
        recovered_s=round(recovered_s, 1),
        updates_confirmed=len(journal.updated),
        exports_accepted=len(journal.exports),
    )


def settled(world: World, journal: Journal) -> Counter[str]:
    """Return how the accepted exports ended; each has one file, and no other attempt's is beside it."""
    states: Counter[str] = Counter()
    with httpx.Client(base_url=world.service.url, headers=BEARER, timeout=15) as client:
        for address in journal.exports:
            deadline = monotonic() + 90
            while (export := client.get(address).json()).get("state") in {"queued", "running"}:
                assert monotonic() < deadline, export
                sleep(0.1)
            states[export["state"]] += 1
            files = [file for file in world.exports.glob(f"{export['id']}.*") if file.suffix != ".partial"]
            assert len(files) == 1, files
    return states


def recorded(world: World, journal: Journal) -> Counter[tuple[int, int]]:
    """Return how often the audit trail has each update that a client was told of."""
    told = set(journal.updated)
    changes = Counter(audited(world))
    return Counter({change: count for change, count in changes.items() if change in told})


def audited(world: World) -> list[tuple[int, int]]:
    """Return flight and version of every row of the audit trail."""
    rows = world.primary.run("SELECT flight_id, version FROM status_changes", database=world.database).split()
    return [(int(flight), int(version)) for flight, version in (row.split("|") for row in rows)]


def written(world: World) -> set[tuple[int, int]]:
    """Return flight and version of every version that any flight has reached, whoever was told of it."""
    reached = "SELECT id, generate_series(2, version) FROM flights WHERE version > 1"
    rows = world.primary.run(reached, database=world.database).split()
    return {(int(flight), int(version)) for flight, version in (row.split("|") for row in rows)}


def _counted(statuses: Counter[int]) -> str:
    return ", ".join(f"{count} of {status}" for status, count in sorted(statuses.items()))
