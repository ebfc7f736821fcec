"""The load generator's process: what its clients remember belongs to one running arm."""

import asyncio

from lab.load.generator import Generator, LoadCommand
from lab.load.load_model import OpenLoop, Phase
from lab.load.testing import ReceivedRequest, StubResponse, stub_service


def test_another_process_with_the_name_of_an_arm_gets_new_client_state() -> None:
    tokens: list[str] = []

    async def handler(request: ReceivedRequest) -> StubResponse:
        tokens.append(request.headers["authorization"])
        return StubResponse()

    async def run() -> None:
        async with stub_service(handler) as url, Generator() as generator:
            for token in ("one", "two"):
                command = LoadCommand(
                    arm="baseline",
                    url=url,
                    model=OpenLoop(rate_per_s=20),
                    phase=Phase(duration_s=0.3),
                    stream=1,
                    mix="updates",
                    token=token,
                )
                recording = await generator.drive(command)
                assert recording.statuses == {200: 6}

    asyncio.run(run())
    assert tokens == ["Bearer one"] * 6 + ["Bearer two"] * 6
