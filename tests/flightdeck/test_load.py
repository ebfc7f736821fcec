"""`flightdeck load` against services whose behaviour is known."""

import asyncio
import re
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack

from lab.load.testing import Handler, ReceivedRequest, StubResponse, stub_service
from tests.servers.executable import free_port

FLIGHTDECK = (sys.executable, "-m", "flightdeck", "load")


def noting(asked: list[ReceivedRequest], status: int = 200) -> Handler:
    async def handler(request: ReceivedRequest) -> StubResponse:
        asked.append(request)
        return StubResponse(status=status)

    return handler


def loaded(
    *options: str, services: tuple[list[ReceivedRequest], ...] = (), interrupt_after: int = 0, status: int = 200
) -> tuple[int | None, str]:
    """Return how the command ended and what it printed; interrupt it when the first service was asked so often."""

    async def run() -> tuple[int | None, str]:
        async with AsyncExitStack() as stack:
            arms = []
            for number, asked in enumerate(services, 1):
                url = await stack.enter_async_context(stub_service(noting(asked, status)))
                arms += ["--arm", f"arm{number}={url}"]
            process = await asyncio.create_subprocess_exec(
                *(*FLIGHTDECK, *arms, *options), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            if interrupt_after:
                async with asyncio.timeout(20):
                    while len(services[0]) < interrupt_after:  # noqa: ASYNC110 the service notes in a list
                        await asyncio.sleep(0.02)
                process.send_signal(signal.SIGINT)
            async with asyncio.timeout(20):
                printed, _ = await process.communicate()
        return process.returncode, printed.decode()

    return asyncio.run(run())


def test_every_arm_gets_the_same_requests_and_ends_with_a_summary() -> None:
    first, second = list[ReceivedRequest](), list[ReceivedRequest]()
    code, printed = loaded("--rate", "40", "--duration", "1.5", "--every", "0.5", services=(first, second))
    assert code == 0
    assert Counter((r.method, r.target) for r in first) == Counter((r.method, r.target) for r in second)
    assert 30 < len(first) < 100
    assert "PATCH" not in {request.method for request in first}  # no token
    assert f"{len(first)} requests" in printed.splitlines()[-2]
    assert printed.count("arm1 ") >= 3  # looks in between, then the summary


def test_an_interruption_ends_it_with_a_summary() -> None:
    asked: list[ReceivedRequest] = []
    code, printed = loaded("--rate", "50", "--every", "60", services=(asked,), interrupt_after=10)
    assert code == 0
    counted = re.search(r"(\d+) requests", printed)
    assert counted is not None
    assert 0 < int(counted[1]) <= len(asked)  # what was under way is not counted


def test_a_service_that_is_not_there_is_said_and_ends_with_1() -> None:
    code, printed = loaded(f"http://127.0.0.1:{free_port()}", "--rate", "20", "--duration", "1")
    assert code == 1
    assert "mostly: no connection: ConnectionRefusedError" in printed


def test_failing_answers_are_counted() -> None:
    asked: list[ReceivedRequest] = []
    code, printed = loaded("--rate", "20", "--duration", "1", services=(asked,), status=503)
    assert code == 0
    assert f"{len(asked)} failed" in printed


def test_what_can_not_be_meant_is_refused_with_what_can() -> None:
    assert loaded() == (2, "arms: '' is not a comma list of name=url, such as " + EXAMPLE)
    assert loaded("http://127.0.0.1:1", "--mix", "nonsense")[1].startswith("--mix: 'nonsense' is not one of everyday,")


EXAMPLE = "baseline=http://127.0.0.1:8001,optimized=http://127.0.0.1:8002\n"
