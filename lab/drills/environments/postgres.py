"""A PostgreSQL primary and its streaming replica for one drill, with the flights loaded."""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lab.arms.process import free_ports
from lab.drills.run.context import Scene
from lab.drills.run.errors import ProcessFailed
from lab.drills.run.executables import program
from lab.drills.run.process import START_S

PACKAGE: Final = "postgresql"
PLACES: Final = ("/usr/lib/postgresql/*/bin",)
PROGRAMS: Final = ("initdb", "postgres", "pg_basebackup", "pg_isready", "psql")
OWNER: Final = "postgres"
POLL_S: Final = 0.1
SETTINGS: Final = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
"""A drill loses nothing in a power cut."""


class Cluster:
    """Both servers; `open` makes them, the scene ends them."""

    def __init__(self, scene: Scene) -> None:
        self._directory = scene.directory / "postgres"
        self._programs = {name: program(name, package=PACKAGE, places=PLACES) for name in PROGRAMS}
        # PostgreSQL refuses to run as root.
        self._as_owner = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups"] if _is_root() else []
        self._ports = dict(zip(("primary", "replica"), free_ports(2), strict=True))
        self.primary, self.replica = (scene.helper(f"the {role}", self._server(role)) for role in self._ports)

    def url(self, role: str) -> str:
        """Return the address of the flights on one of the two."""
        return f"postgresql://{OWNER}@127.0.0.1:{self._ports[role]}/flightdeck"

    async def open(self) -> None:
        """Make and start the primary, load the flights, make and start the replica."""
        self._directory.mkdir()
        if _is_root():
            for folder in (self._directory.parent.parent, self._directory.parent):
                folder.chmod(0o711)
            shutil.chown(self._directory, OWNER, OWNER)
        data = self._directory / "primary"
        await self._run("initdb", "-D", str(data), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-sync")
        await self.start("primary")
        load = [sys.executable, "-m", "flightdeck", "data", "load"]
        await completed("flightdeck data load", load, {"DATABASE_URL": self.url("primary")})
        source = f"host=127.0.0.1 port={self._ports['primary']} user={OWNER}"
        backup = ["-D", str(self._directory / "replica"), "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]
        await self._run("pg_basebackup", *backup, "-d", source)
        await self.start("replica")

    async def start(self, role: str) -> None:
        """Start one of the two and wait until it answers."""
        server = self.primary if role == "primary" else self.replica
        await server.start()
        ready = [self._programs["pg_isready"], "-q", "-h", "127.0.0.1", "-p", str(self._ports[role])]
        try:
            async with asyncio.timeout(START_S):
                while await _code(ready):
                    if not server.running:
                        raise ProcessFailed(server.name, "ended at its start", server.log())
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise ProcessFailed(server.name, f"was not ready after {START_S:.0f} s", server.log()) from None

    async def tell_replica(self, statement: str) -> None:
        """Run a statement on the replica."""
        await self._run("psql", "-X", "-q", "-d", self.url("replica"), "-c", statement)

    def _server(self, role: str) -> list[str]:
        settings = SETTINGS | {"port": str(self._ports[role])}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*self._as_owner, self._programs["postgres"], "-D", str(self._directory / role), *options]

    async def _run(self, name: str, *arguments: str) -> None:
        await completed(name, [*self._as_owner, self._programs[name], *arguments], {})


def _is_root() -> bool:
    return os.geteuid() == 0


async def _code(command: Sequence[str]) -> int:
    return await (await asyncio.create_subprocess_exec(*command, cwd="/")).wait()


async def completed(name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command to its end; raise `ProcessFailed` with its last words where it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=None if environment else Path("/"),
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ProcessFailed(name, f"ended with code {process.returncode}", said.decode(errors="replace")[-4000:])
