"""`flightdeck load` against stub services."""

import asyncio
import re
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack

from lab.load.testing import Handler, ReceivedRequest, StubResponse, stub_service
from tests.servers.port import free_port

FLIGHTDECK = (sys.executable, "-m", "flightdeck", "load")


def recording(received: list[ReceivedRequest], status: int = 200) -> Handler:
    async def handler(request: ReceivedRequest) -> StubResponse:
        received.append(request)
        return StubResponse(status=status)

    return handler


def loaded(
    *options: str, services: tuple[list[ReceivedRequest], ...] = (), interrupt_after: int = 0, status: int = 200
) -> tuple[int | None, str]:
    """Return the exit code and the output; interrupt the command after so many requests to the first service."""

    async def run() -> tuple[int | None, str]:
        async with AsyncExitStack() as stack:
            arms = []
            for number, received in enumerate(services, 1):
                url = await stack.enter_async_context(stub_service(recording(received, status)))
                arms += ["--arm", f"arm{number}={url}"]
            process = await asyncio.create_subprocess_exec(
                *(*FLIGHTDECK, *arms, *options), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            if interrupt_after:
                async with asyncio.timeout(60):
                    while len(services[0]) < interrupt_after:  # noqa: ASYNC110 the service appends to a list
                        await asyncio.sleep(0.02)
                process.send_signal(signal.SIGINT)
            async with asyncio.timeout(60):
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
    assert printed.count("arm1 ") >= 3  # progress reports, then the summary


def test_an_interrupted_load_ends_with_a_summary() -> None:
    received: list[ReceivedRequest] = []
    code, printed = loaded("--rate", "50", "--every", "60", services=(received,), interrupt_after=10)
    assert code == 0
    counted = re.search(r"(\d+) requests", printed)
    assert counted is not None
    assert 0 < int(counted[1]) <= len(received)  # requests in flight are not counted


def test_an_unreachable_service_is_reported_and_exits_with_1() -> None:
    code, printed = loaded(f"http://127.0.0.1:{free_port()}", "--rate", "20", "--duration", "1")
    assert code == 1
    assert "mostly: no connection: ConnectionRefusedError" in printed


def test_failed_requests_are_counted() -> None:
    received: list[ReceivedRequest] = []
    code, printed = loaded("--rate", "20", "--duration", "1", services=(received,), status=503)
    assert code == 0
    assert f"{len(received)} failed" in printed


def test_an_invalid_option_is_an_error_that_names_the_valid_ones() -> None:
    assert loaded() == (2, "arms: '' is not a comma list of name=url, such as " + EXAMPLE)
    assert loaded("http://127.0.0.1:1", "--mix", "nonsense")[1].startswith("--mix: 'nonsense' is not one of everyday,")


EXAMPLE = "baseline=http://127.0.0.1:8001,optimized=http://127.0.0.1:8002\n"
