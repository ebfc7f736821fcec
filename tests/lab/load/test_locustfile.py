"""Long-running traffic: its variables, and the requests of real Locust processes."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest

from lab.core.errors import BadSetting
from lab.load.client_state import ClientState
from lab.load.testing import Handler, ReceivedRequest, StubResponse, stub_service
from lab.traffic.locust_settings import MAX_LAG_S, LocustLoad, Schedule
from tests.servers.port import free_port

ENOUGH = 60
"""Requests of each arm."""
ROOT = Path(__file__).parents[3]
TWO_ARMS = {"FLIGHTDECK_ARMS": "slow=http://127.0.0.1:8001, quick=http://127.0.0.1:8002/"}


def test_arms_are_named_urls_and_everything_else_has_a_default() -> None:
    load = LocustLoad.from_environ(TWO_ARMS)
    assert load.arms == {"slow": "http://127.0.0.1:8001", "quick": "http://127.0.0.1:8002"}
    assert (load.rate_per_s, load.readers, load.mix, load.token) == (2.0, 4, "whole service", "")


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({}, "FLIGHTDECK_ARMS: '' is not a comma list of name=url"),
        ({"FLIGHTDECK_ARMS": "http://127.0.0.1:8001"}, "is not a comma list of name=url"),
        ({"FLIGHTDECK_ARMS": "a=ftp://127.0.0.1"}, "is not a comma list of name=url"),
        ({"FLIGHTDECK_ARMS": "a=http://x:1,a=http://y:1"}, "is not a comma list of name=url"),
        (TWO_ARMS | {"FLIGHTDECK_RATE": "0"}, "FLIGHTDECK_RATE: '0' is not a number of at least 0.001"),
        (TWO_ARMS | {"FLIGHTDECK_RATE": "many"}, "FLIGHTDECK_RATE: 'many' is not a number"),
        (TWO_ARMS | {"FLIGHTDECK_MIX": "nonsense"}, "FLIGHTDECK_MIX: 'nonsense' is not one of everyday"),
        (TWO_ARMS | {"WRITE_TOKEN_FILE": "/nowhere"}, "WRITE_TOKEN_FILE: '/nowhere' is not a file that can be read"),
    ],
    ids=["no arms", "no name", "no HTTP", "a name twice", "no rate", "no number", "no mix", "no file"],
)
def test_an_invalid_variable_is_rejected_with_what_is_allowed(environ: Mapping[str, str], complaint: str) -> None:
    with pytest.raises(BadSetting, match=complaint):
        LocustLoad.from_environ(environ)


def test_an_empty_variable_is_an_unset_one() -> None:
    names = ("FLIGHTDECK_RATE", "FLIGHTDECK_READERS", "FLIGHTDECK_MIX", "FLIGHTDECK_SEED")
    empty = dict.fromkeys((*names, "WRITE_TOKEN", "WRITE_TOKEN_FILE"), "")
    assert LocustLoad.from_environ(TWO_ARMS | empty) == LocustLoad.from_environ(TWO_ARMS)


def test_the_token_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    assert LocustLoad.from_environ(TWO_ARMS | {"WRITE_TOKEN_FILE": str(tmp_path / "token")}).token == "secret"


def test_no_writes_are_sent_without_a_token() -> None:
    def kinds(token: str) -> Counter[str]:
        load = LocustLoad(arms={"a": "http://127.0.0.1:1"}, token=token, mix="updates" if token else "read after write")
        return Counter(request.kind for request in islice(load.requests(1), 200))

    assert kinds("t")["update"] == 200
    assert kinds("")["update"] == 0
    assert kinds("").total() == 200


def test_readers_together_keep_the_rate() -> None:
    load = LocustLoad(arms={}, rate_per_s=5.0, readers=3)
    for reader in (1, 2, 3):
        assert sum(islice(load.gaps_s(reader), 4000)) == pytest.approx(4000 * 3 / 5.0, rel=0.05)


def test_a_reader_that_waited_catches_up_a_little_and_skips_the_rest() -> None:
    schedule = Schedule(iter([1.0] * 50), now=100.0)
    assert schedule.wait_s(100.2) == pytest.approx(0.8)  # due at 101
    assert schedule.wait_s(104.0) == 0.0  # was due at 102
    assert [schedule.wait_s(200.0) for _ in range(int(MAX_LAG_S) + 2)][-2:] == [0.0, pytest.approx(1.0)]


def recording_handler(received: list[ReceivedRequest], delay_s: float, *, then: Callable[[], None]) -> Handler:
    """Record the requests; respond with 404 to those for airlines."""

    async def handler(request: ReceivedRequest) -> StubResponse:
        received.append(request)
        then()
        await asyncio.sleep(delay_s)
        return StubResponse(headers={"etag": '"1"'}, status=404 if request.target == "/airlines" else 200)

    return handler


async def locust(
    *options: str,
    environ: Mapping[str, str],
    enough: asyncio.Event | None = None,
    printing_line: Callable[[str], None] = lambda _: None,
) -> tuple[int | None, str]:
    """Return how Locust ended and what it printed; it is stopped when there is enough."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "-f", "lab/load/locustfile.py", *options),
        cwd=ROOT,
        env=os.environ | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    output = process.stdout

    async def print_lines() -> str:
        lines: list[str] = []
        async for line in output:
            lines.append(line.decode())
            printing_line(lines[-1])
        await process.wait()
        return "".join(lines)

    async with asyncio.TaskGroup() as group:
        printing = group.create_task(print_lines())
        if enough is not None:
            stopping = group.create_task(enough.wait())
            await asyncio.wait([printing, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            with suppress(ProcessLookupError):
                process.terminate()
    return process.returncode, printing.result()


def visited(*groups_of_options: tuple[str, ...], **variables: str) -> tuple[list[list[ReceivedRequest]], list[str]]:
    """Return the requests of concurrent Locust processes to a slow and a fast arm, and their output.

    They are stopped as soon as both arms have received enough and one process has reported that every reader runs,
    however long that takes on this machine.
    """
    received: list[list[ReceivedRequest]] = [[], []]

    async def run() -> list[str]:
        enough, is_spawned = asyncio.Event(), asyncio.Event()

        def look() -> None:
            if is_spawned.is_set() and min(map(len, received)) > ENOUGH:
                enough.set()

        def notice(line: str) -> None:
            if "All users spawned" in line:
                is_spawned.set()

        async with (
            stub_service(recording_handler(received[0], 0.02, then=look)) as slow,
            stub_service(recording_handler(received[1], 0, then=look)) as quick,
        ):
            environ = {"FLIGHTDECK_ARMS": f"slow={slow},quick={quick}", "FLIGHTDECK_MIX": "everyday"} | variables
            ended = await asyncio.gather(
                *(
                    locust(*options, environ=environ, enough=enough, printing_line=notice)
                    for options in groups_of_options
                )
            )
        return [printed for _, printed in ended]

    return received, asyncio.run(run())


def targets(received: list[ReceivedRequest], most: int) -> Counter[tuple[str, str]]:
    return Counter((request.method, request.target) for request in received[:most])


def requests_of(reader: int) -> Iterator[tuple[str, str]]:
    """Yield what a reader sends to an arm whose lists have one page and whose responses are never fresh."""
    state = ClientState(token="")
    for request in LocustLoad(arms={}, readers=2, mix="everyday").requests(reader):
        target = state.target(request)
        if not state.has_response(request, target):
            yield request.method, target


def is_from_two_readers(received: list[ReceivedRequest]) -> bool:
    """Return whether these are the first requests of one reader and the first of another, in whatever turns."""
    count = len(received)
    first, second = (list(islice(requests_of(reader), count)) for reader in (1, 2))
    sent = targets(received, count)
    return any(Counter(first[:own]) + Counter(second[: count - own]) == sent for own in range(count))


def test_locust_sends_every_arm_the_same_requests_named_by_kind() -> None:
    (slow, quick), (printed,) = visited(
        ("--headless", "-t", "100s", "--only-summary"), FLIGHTDECK_RATE="30", FLIGHTDECK_READERS="1", WRITE_TOKEN="t"
    )
    assert min(len(slow), len(quick)) > 40, printed
    both = min(len(slow), len(quick))
    assert targets(slow, both) == targets(quick, both)
    assert any(request.method == "PATCH" and request.headers["authorization"] == "Bearer t" for request in quick)
    assert "slow board" in printed
    assert "quick flight" in printed
    assert "?date=" not in printed.partition("Error report")[0]
    assert "404" in printed  # what fails is reported


def test_readers_who_return_revalidate_their_copy() -> None:
    (_, quick), _ = visited(
        ("--headless", "-t", "100s", "--only-summary"),
        FLIGHTDECK_RATE="30",
        FLIGHTDECK_READERS="1",
        FLIGHTDECK_MIX="returning readers",
    )
    assert any(request.headers.get("if-none-match") == '"1"' for request in quick)


def test_the_readers_are_the_same_wherever_a_master_puts_them() -> None:
    port = str(free_port())
    master = ("--master", "--headless", "--expect-workers", "2", "--master-bind-port", port, "-t", "100s")
    worker = ("--worker", "--master-port", port)
    (slow, quick), printed = visited(master, worker, worker, FLIGHTDECK_RATE="30", FLIGHTDECK_READERS="2")
    assert all(user in printed[0] for user in ('"slow 1": 1', '"slow 2": 1', '"quick 1": 1', '"quick 2": 1'))
    assert all("Ramping" not in worker_printed for worker_printed in printed[1:])
    both = min(len(slow), len(quick))
    assert both > 40, printed
    assert is_from_two_readers(slow)
    assert is_from_two_readers(quick)


def test_locust_says_what_a_variable_must_look_like() -> None:
    code, printed = asyncio.run(locust("--headless", environ={"FLIGHTDECK_ARMS": "nonsense"}))
    assert code == 1
    assert "FLIGHTDECK_ARMS: 'nonsense' is not a comma list of name=url" in printed
