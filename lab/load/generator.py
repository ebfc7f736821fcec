"""The load generator, in a separate process so that drawing the live view never delays a request.

It reads commands from standard input, one JSON object per line, writes the recording of each, and ends with its input.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from lab.core.address import Address
from lab.core.command import MODULE
from lab.core.errors import LabError
from lab.load.client_state import ClientState
from lab.load.load import drive
from lab.load.load_model import ClosedLoop, LoadModel, OpenLoop, Phase
from lab.load.recording import Recording
from lab.load.sessions import Sessions
from lab.traffic.traffic import Request, Traffic
from lab.workload.draw import decoded

LINE_LIMIT: Final = 16 * 2**20
PRIORITY: Final = -10
LOCAL: Final = ("lab.load.generator",)
"""Name and arguments of the module that generates the load, here on this machine."""


@dataclass(frozen=True, kw_only=True)
class LoadCommand:
    """One phase of load on one arm."""

    arm: str
    """Each arm has its own client state."""
    url: str
    model: LoadModel
    phase: Phase
    stream: int
    """Selects requests and arrivals: the same number gives every arm the same ones."""
    mix: str = ""
    workload: str = ""
    """As JSON, sent instead of a mix; the generator reads its files, and its secrets from the environment."""
    ca: str = ""
    seed: int = 1
    writes: bool = True
    """False: the same requests without those that write."""
    token: str = ""

    def encode(self) -> bytes:
        return json.dumps(asdict(self) | {"kind": type(self.model).__name__}).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        data: dict[str, Any] = json.loads(line)
        model = {model.__name__: model for model in (OpenLoop, ClosedLoop)}[data.pop("kind")](**data.pop("model"))
        return cls(model=model, phase=Phase(**data.pop("phase")), **data)

    def requests(self) -> Iterator[Request]:
        if self.mix:
            return Traffic(self.mix, seed=self.seed, writes=self.writes).requests(self.stream)
        return decoded(self.workload).requests(self.stream, seed=self.seed)

    async def state(self, address: Address, states: "ClientStates") -> ClientState:
        """Return the state of the arm's clients; those of a workload are logged in."""
        # An arm of the same name in the next experiment is another process, with another token.
        key = (self.arm, self.url, self.token)
        if not self.workload:
            return states.setdefault(key, ClientState(token=self.token))
        workload = decoded(self.workload)
        sessions = states.setdefault(key, Sessions(workload, address))
        if isinstance(sessions, Sessions):
            await sessions.log_in(workload.clients(self.seed))
        return sessions


ClientStates = dict[tuple[str, str, str], ClientState]
"""By arm, its address and its token."""


class Generator:
    """Runs the generator's process while the context is entered."""

    def __init__(self, module: Sequence[str] = LOCAL) -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *MODULE,
            *self._module,
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
        """Execute the command; raise `LabError` if that is not possible."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("the generator is not running")
        process.stdin.write(command.encode())
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise LabError(f"the load generator ended with code {await process.wait()}")
        response = json.loads(line)
        if "error" in response:
            raise LabError(response["error"])
        return Recording.from_json(response)


async def serve_commands() -> None:
    """Execute the commands on standard input; its end cancels the command in progress."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    states: ClientStates = {}
    next_line = asyncio.create_task(reader.readline())
    while line := await next_line:
        next_line = asyncio.create_task(reader.readline())
        execution = asyncio.create_task(_execute(LoadCommand.decode(line), states))
        await asyncio.wait({next_line, execution}, return_when=asyncio.FIRST_COMPLETED)
        if not execution.done():  # the input ended, or a second command came too early
            execution.cancel()
            return
        sys.stdout.write(json.dumps(execution.result()) + "\n")
        sys.stdout.flush()


async def _execute(command: LoadCommand, states: ClientStates) -> dict[str, Any]:
    address = Address.of(command.url, ca=command.ca)
    try:
        state = await command.state(address, states)
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection would add to the measured latency
        recording = await drive(
            address, command.requests(), command.model, command.phase, state=state, seed=command.stream
        )
    except LabError as error:
        return {"error": str(error)}
    finally:
        gc.enable()
    return recording.to_json()


def _raise_priority() -> None:
    """Raise the scheduling priority if permitted: the generator needs little CPU, but without delay."""
    with suppress(OSError):
        os.nice(PRIORITY)


if __name__ == "__main__":
    _raise_priority()
    try:
        import uvloop

        uvloop.run(serve_commands())
    except ImportError:
        asyncio.run(serve_commands())
