"""The load generator's process: what its clients remember belongs to one running arm."""

import asyncio

from lab.load.generator import Generator, Order
from lab.load.load_model import OpenLoop, Stretch
from lab.load.testing import Answer, Asked, known_service


def test_clients_of_an_arm_forget_its_token_when_another_process_has_its_name() -> None:
    tokens: list[str] = []

    async def noting(asked: Asked) -> Answer:
        tokens.append(asked.headers["authorization"])
        return Answer()

    async def run() -> None:
        async with known_service(noting) as url, Generator() as generator:
            for token in ("one", "two"):
                order = Order(
                    arm="baseline",
                    url=url,
                    pace=OpenLoop(rate_per_s=20),
                    stretch=Stretch(duration_s=0.3),
                    stream=1,
                    mix="updates",
                    token=token,
                )
                recording = await generator.drive(order)
                assert recording.statuses == {200: 6}

    asyncio.run(run())
    assert tokens == ["Bearer one"] * 6 + ["Bearer two"] * 6
