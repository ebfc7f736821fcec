"""The load generator as a process of its own, so that drawing a live view never delays a request.

It reads orders from standard input, one JSON object a line, and writes what each recorded; it ends with its input.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any, Final, Self

from lab.core.address import Address
from lab.core.errors import LabError
from lab.load.client_state import ClientState
from lab.load.load import drive
from lab.load.load_model import ClosedLoop, LoadModel, OpenLoop, Phase
from lab.load.recording import Recording
from lab.traffic.traffic import Request, Traffic, population, seeded

LINE_LIMIT: Final = 16 * 2**20
PRIORITY: Final = -10


@dataclass(frozen=True, kw_only=True)
class LoadCommand:
    """One phase of load on one arm."""

    arm: str
    """Whose state to use: each arm's clients remember what that arm told them."""
    url: str
    model: LoadModel
    phase: Phase
    stream: int
    """Which requests and arrivals: the same number gives every arm the same."""
    mix: str = ""
    targets: tuple[tuple[str, str], ...] = ()
    """Instead of a mix: methods and targets, asked for in turn."""
    seed: int = 1
    token: str = ""

    def encode(self) -> bytes:
        """Return the command as a line."""
        return json.dumps(asdict(self) | {"kind": type(self.model).__name__}).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Return the command that `encode` wrote."""
        data: dict[str, Any] = json.loads(line)
        model = {model.__name__: model for model in (OpenLoop, ClosedLoop)}[data.pop("kind")](**data.pop("model"))
        targets = tuple((method, target) for method, target in data.pop("targets"))
        return cls(model=model, phase=Phase(**data.pop("phase")), targets=targets, **data)

    def requests(self) -> Iterator[Request]:
        """Return the requests to send."""
        if self.mix:
            return Traffic(self.mix, seed=self.seed).requests(self.stream)
        return self._in_turn()

    def _in_turn(self) -> Iterator[Request]:
        random = seeded(self.seed, self.stream)
        clients = [replace(client, link_bytes_per_s=None) for client in population(random)]
        for number in count():
            method, target = self.targets[number % len(self.targets)]
            client = clients[int(random.integers(len(clients)))]
            yield Request(f"{method} {target}", method, target, client)


ClientStates = dict[tuple[str, str, str], ClientState]
"""What clients remember, by arm, its address and its token."""


class Generator:
    """The generator's process, for as long as the context is entered."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lab.load.generator"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            start_new_session=True,  # Ctrl-C is for the lab, which ends its children in command
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(2):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def drive(self, command: LoadCommand) -> Recording:
        """Return what the command recorded; raise `LabError` where it cannot be driven."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("the generator is not running")
        process.stdin.write(command.encode())
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise LabError(f"the load generator ended with code {await process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(answer["error"])
        return Recording.from_json(answer)


async def serve_commands() -> None:
    """Carry out the orders on standard input until it ends, even in the middle of one."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    states: ClientStates = {}
    following = asyncio.create_task(reader.readline())
    while line := await following:
        following = asyncio.create_task(reader.readline())
        carried_out = asyncio.create_task(_carry_out(LoadCommand.decode(line), states))
        await asyncio.wait({following, carried_out}, return_when=asyncio.FIRST_COMPLETED)
        if not carried_out.done():  # the input ended, or someone gave two orders at once
            carried_out.cancel()
            return
        sys.stdout.write(json.dumps(carried_out.result()) + "\n")
        sys.stdout.flush()


async def _carry_out(command: LoadCommand, states: ClientStates) -> dict[str, Any]:
    # An arm of the same name in the next experiment is another process, with another token and other answers.
    state = states.setdefault((command.arm, command.url, command.token), ClientState(token=command.token))
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection in the middle would be measured as the service's
    try:
        recording = await drive(
            Address.of(command.url), command.requests(), command.model, command.phase, state=state, seed=command.stream
        )
    except LabError as error:
        return {"error": str(error)}
    finally:
        gc.enable()
    return recording.to_json()


def _ask_for_priority() -> None:
    """Be served first where that is allowed: the generator needs little, and needs it at once."""
    with suppress(OSError):
        os.nice(PRIORITY)


if __name__ == "__main__":
    _ask_for_priority()
    try:
        import uvloop

        uvloop.run(serve_commands())
    except ImportError:
        asyncio.run(serve_commands())
